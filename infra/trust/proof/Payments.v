(** Theorems about the billed rule τ·KL(π ‖ π₋ᵢ), and about the two rules that are not billed. *)

Require Import Reals Lra Lia.
From Tessera Require Import Sums Allocation.
Open Scope R_scope.

Section Payments.
Variables M N : nat.
Variable w : nat -> R.
Variable tau : R.
Hypothesis tau_pos : 0 < tau.
Hypothesis w_weights : weights M w.

Local Notation score_weight := (score_weight tau N w).
Local Notation allocation := (allocation M tau N w).
Local Notation price := (price M tau N w).
Local Notation utility := (utility M tau N w).
Local Notation KL := (KL M).
Local Notation expected := (expected M).

(** A lie loses τ times the divergence of the reply it brings about from the reply the truth brings about. *)
Theorem cost_of_a_lie i r b P : (i < N)%nat ->
  utility i r (report i r P) - utility i r (report i b P)
  = tau * KL (allocation (report i b P)) (allocation (report i r P)).
Proof. intros Hi. rewrite !utility_of_report, KL_self by assumption. ring. Qed.

Theorem truthful i r b P : (i < N)%nat -> utility i r (report i b P) <= utility i r (report i r P).
Proof.
  intros Hi. pose proof (cost_of_a_lie i r b P Hi) as E.
  assert (0 <= KL (allocation (report i b P)) (allocation (report i r P)))
    by (apply KL_nonneg; [apply allocation_distribution | apply allocation_distribution | apply allocation_within]; auto).
  pose proof (Rmult_le_pos tau _ (Rlt_le _ _ tau_pos) H). lra.
Qed.

Theorem no_deficit i P : 0 <= price i P.
Proof.
  apply Rmult_le_pos; [lra|].
  apply KL_nonneg; [apply allocation_distribution | apply allocation_distribution | apply allocation_within]; auto.
Qed.

(** Taking part with the truth, against staying away from the same candidates. *)
Theorem gain_of_taking_part i r P : (i < N)%nat ->
  utility i r (report i r P) - expected (allocation (without i P)) r
  = tau * KL (allocation (without i P)) (allocation (report i r P)).
Proof.
  intros Hi. pose proof (utility_of_report M tau tau_pos N w w_weights i r (fun _ => 0) P Hi) as E.
  fold (without i P) in E. unfold Allocation.utility in E at 1. unfold Allocation.price in E.
  rewrite (KL_ext M _ (allocation (without i P)) _ (allocation (without i P))), KL_self in E.
  - rewrite (utility_of_report M tau tau_pos N w w_weights i r r P Hi), KL_self. lra.
  - reflexivity.
  - intros j Hj. apply allocation_ext; [|exact Hj]. intros. apply without_report.
Qed.

Theorem participation i r P : (i < N)%nat ->
  expected (allocation (without i P)) r <= utility i r (report i r P).
Proof.
  intros Hi. pose proof (gain_of_taking_part i r P Hi) as E.
  assert (0 <= KL (allocation (without i P)) (allocation (report i r P)))
    by (apply KL_nonneg; [apply allocation_distribution | apply allocation_distribution | apply allocation_within]; auto).
  pose proof (Rmult_le_pos tau _ (Rlt_le _ _ tau_pos) H). lra.
Qed.

(** The price from what the advertiser itself reported, and the two normalisers. *)
Lemma price_closed i P : (i < N)%nat ->
  price i P = expected (allocation P) (P i) - tau * ln (sum M (score_weight P) / sum M (score_weight (without i P))).
Proof.
  intros Hi. pose proof (utility_of_report M tau tau_pos N w w_weights i (P i) (P i) P Hi) as E.
  rewrite KL_self in E. unfold Allocation.utility in E.
  rewrite (price_ext M tau N w i (report i (P i) P) P) in E
    by (intros k j _ _; unfold report; destruct (Nat.eqb_spec k i) as [->|]; reflexivity).
  rewrite (expected_ext M _ (allocation P) _ (P i)) in E.
  - rewrite (sum_ext M (score_weight P) (tilted tau (score_weight (without i P)) (P i)))
      by (intros; now apply score_weight_tilted). lra.
  - intros j Hj. apply allocation_ext; [|exact Hj].
    intros k j' _ _. unfold report. destruct (Nat.eqb_spec k i) as [->|]; reflexivity.
  - reflexivity.
Qed.

Lemma ln_ratio_at_least x a b : 0 < a -> 0 < b -> exp x * b <= a -> x <= ln (a / b).
Proof.
  intros A B H. assert (E : exp x <= a / b).
  { apply (Rmult_le_reg_r b); [exact B|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra. }
  rewrite <- (ln_exp x). destruct E as [E|E]; [left; apply ln_increasing; [apply exp_pos | exact E] | rewrite E; lra].
Qed.

Lemma least_normaliser i P lo : (i < N)%nat -> (forall j, (j < M)%nat -> lo <= P i j) ->
  lo / tau <= ln (sum M (score_weight P) / sum M (score_weight (without i P))).
Proof.
  intros Hi H. destruct (score_weights M tau N w w_weights P) as [_ Z].
  destruct (score_weights M tau N w w_weights (without i P)) as [V S].
  apply ln_ratio_at_least; [exact Z | exact S|]. rewrite <- sum_scal. apply sum_le. intros j Hj.
  rewrite (score_weight_tilted tau tau_pos N w i P j Hi). unfold tilted. rewrite Rmult_comm.
  apply Rmult_le_compat_l; [now apply V|].
  assert (L : lo / tau <= P i j / tau).
  { apply Rmult_le_compat_r; [left; now apply Rinv_0_lt_compat | now apply H]. }
  destruct L as [L|L]; [left; now apply exp_increasing | rewrite L; lra].
Qed.

Theorem price_at_most_the_spread i P lo hi : (i < N)%nat ->
  (forall j, (j < M)%nat -> lo <= P i j <= hi) -> price i P <= hi - lo.
Proof.
  intros Hi H. rewrite price_closed by exact Hi.
  pose proof (expected_between M (allocation P) (P i) lo hi) as B.
  destruct B as [_ B]; [now apply allocation_distribution | exact H|].
  pose proof (least_normaliser i P lo Hi (fun j Hj => proj1 (H j Hj))) as L.
  apply (Rmult_le_compat_l tau) in L; [|lra].
  replace (tau * (lo / tau)) with lo in L by (field; lra). lra.
Qed.

(** Whoever likes no reply less than nothing loses nothing (the paper's "almost individually rational"). *)
Theorem almost_individually_rational i r P : (i < N)%nat ->
  (forall j, (j < M)%nat -> 0 <= r j) -> 0 <= utility i r (report i r P).
Proof.
  intros Hi H. apply Rle_trans with (expected (allocation (without i P)) r); [|now apply participation].
  apply sum_nonneg. intros j Hj. apply Rmult_le_pos; [|now apply H].
  now apply (allocation_distribution M tau N w w_weights (without i P)).
Qed.

(** The auction held without advertiser i, everybody behind it numbered one less: the same as with a row of zeros. *)
Definition removed (i : nat) (P : profile) : profile := fun k j => if Nat.ltb k i then P k j else P (S k) j.

Theorem absence n i P j : N = S n -> (i <= n)%nat -> (j < M)%nat ->
  allocation (without i P) j = Allocation.allocation M tau n w (removed i P) j.
Proof.
  intros -> Hi Hj. apply normalised_ext; [|exact Hj]. intros l _. unfold Allocation.score_weight. do 3 f_equal.
  pose proof (sum_without (S n) i P l ltac:(lia)) as E. rewrite (sum_removed n i (fun k => P k l) Hi) in E.
  unfold removed. lra.
Qed.

(** [payments.outcome]: the price of the reply that was drawn. *)
Definition outcome_price (i : nat) (P : profile) (j : nat) : R :=
  tau * (ln (allocation P j) - ln (allocation (without i P) j)).

Theorem outcome_in_expectation i P : expected (allocation P) (outcome_price i P) = price i P.
Proof.
  unfold Allocation.price, Allocation.KL, Allocation.expected. rewrite <- sum_scal. apply sum_ext. intros j Hj.
  unfold outcome_price. destruct (Req_dec (allocation P j) 0) as [E|E]; [rewrite E; ring|].
  destruct (allocation_distribution M tau N w w_weights P) as [A _]. specialize (A j Hj).
  destruct (allocation_distribution M tau N w w_weights (without i P)) as [B _]. specialize (B j Hj).
  pose proof (allocation_within M tau N w w_weights P (without i P) j Hj) as Z.
  assert (0 < allocation (without i P) j) by (destruct B; [assumption | symmetry in H; tauto]).
  rewrite ln_quotient by lra. ring.
Qed.

(** Worth of the drawn reply less its price, on average over the draw. *)
Theorem outcome_truthful_in_expectation i r b P : (i < N)%nat ->
  expected (allocation (report i b P)) (fun j => r j - outcome_price i (report i b P) j)
  <= expected (allocation (report i r P)) (fun j => r j - outcome_price i (report i r P) j).
Proof.
  intros Hi.
  assert (E : forall Q, expected (allocation Q) (fun j => r j - outcome_price i Q j) = utility i r Q).
  { intros Q. unfold Allocation.utility. rewrite <- outcome_in_expectation. unfold Allocation.expected.
    rewrite <- sum_minus. apply sum_ext. intros. ring. }
  rewrite !E. now apply truthful.
Qed.

(** [payments.no_offset]: π·rᵢ − τ·lse(S). *)
Definition no_offset_price (i : nat) (P : profile) : R :=
  expected (allocation P) (P i) - tau * ln (sum M (score_weight P)).

(** It is the billed price less an amount that advertiser i cannot influence. *)
Theorem no_offset_is_offset_less_a_constant i P : (i < N)%nat ->
  no_offset_price i P = price i P - tau * ln (sum M (score_weight (without i P))).
Proof.
  intros Hi. rewrite price_closed by exact Hi. unfold no_offset_price.
  destruct (score_weights M tau N w w_weights P) as [_ Z].
  destruct (score_weights M tau N w w_weights (without i P)) as [_ S].
  rewrite ln_quotient by assumption. ring.
Qed.

Theorem no_offset_truthful i r b P : (i < N)%nat ->
  expected (allocation (report i b P)) r - no_offset_price i (report i b P)
  <= expected (allocation (report i r P)) r - no_offset_price i (report i r P).
Proof.
  intros Hi. rewrite !no_offset_is_offset_less_a_constant by exact Hi.
  pose proof (truthful i r b P Hi) as T. unfold Allocation.utility in T.
  assert (E : forall c, sum M (score_weight (without i (report i c P))) = sum M (score_weight (without i P))).
  { intros c. apply sum_ext. intros. apply score_weight_ext. intros. apply without_report. }
  rewrite !E. lra.
Qed.

(** What [allocate] computes: rewards counted from the first candidate's on, centred on their mean under π. *)
Definition shares (P : profile) : profile := fun k j => (P k j - P k 0%nat) / tau.
Definition computed_pi (P : profile) : nat -> R :=
  normalised M (fun j => w j * exp (sum N (fun k => shares P k j))).
Definition centred (P : profile) (i j : nat) : R := shares P i j - expected (computed_pi P) (shares P i).
Definition computed_influence (P : profile) (i : nat) : R :=
  ln (sum M (fun j => computed_pi P j * exp (- centred P i j))).
Definition computed_without (P : profile) (i j : nat) : R :=
  computed_pi P j * exp (- centred P i j - computed_influence P i).

(** A constant on top of each advertiser's rewards changes nothing. *)
Theorem shift P c j : (j < M)%nat -> allocation (fun k j => P k j + c k) j = allocation P j.
Proof.
  intros Hj. unfold Allocation.allocation, normalised.
  set (K := exp (sum N c / tau)).
  assert (E : forall j, score_weight (fun k j => P k j + c k) j = K * score_weight P j).
  { intros k. unfold Allocation.score_weight, K. rewrite sum_plus.
    unfold Rdiv. rewrite Rmult_plus_distr_r, exp_plus. ring. }
  rewrite E, (sum_ext M _ (fun j => K * score_weight P j)), sum_scal by (intros; apply E).
  destruct (score_weights M tau N w w_weights P) as [_ Z]. pose proof (exp_pos (sum N c / tau)) as HK. fold K in HK.
  field. lra.
Qed.

Theorem allocate_computes_allocation P j : (j < M)%nat -> computed_pi P j = allocation P j.
Proof.
  intros Hj. rewrite <- (shift P (fun k => - P k 0%nat) j Hj). unfold computed_pi, Allocation.allocation.
  apply normalised_ext; [|exact Hj]. intros k _. unfold Allocation.score_weight. do 2 f_equal.
  unfold Rdiv. rewrite Rmult_comm, <- sum_scal. apply sum_ext. intros. unfold shares, Rdiv. ring.
Qed.

(** What an advertiser's report moved is taken back by exp(−δᵢ), up to a factor. *)
Lemma report_taken_back P i m j : (i < N)%nat ->
  allocation P j * exp (- (P i j / tau - m)) = exp m / sum M (score_weight P) * score_weight (without i P) j.
Proof.
  intros Hi. destruct (score_weights M tau N w w_weights P) as [_ Z]. unfold Allocation.allocation, normalised.
  rewrite (score_weight_tilted tau tau_pos N w i P j Hi). unfold tilted.
  replace (- (P i j / tau - m)) with (m + - (P i j / tau)) by ring. rewrite exp_plus, exp_Ropp.
  pose proof (exp_pos (P i j / tau)). field. lra.
Qed.

Lemma influence_centred P i m : (i < N)%nat ->
  ln (sum M (fun j => allocation P j * exp (- (P i j / tau - m))))
  = m - ln (sum M (score_weight P) / sum M (score_weight (without i P))).
Proof.
  intros Hi. destruct (score_weights M tau N w w_weights P) as [_ Z].
  destruct (score_weights M tau N w w_weights (without i P)) as [_ S]. pose proof (exp_pos m) as X.
  rewrite (sum_ext M _ (fun j => exp m / sum M (score_weight P) * score_weight (without i P) j))
    by (intros; now apply report_taken_back).
  rewrite sum_scal, ln_mult, !ln_quotient, ln_exp by (assumption || now apply Rdiv_lt_0_compat). ring.
Qed.

Lemma centred_on_the_mean P i j :
  centred P i j = P i j / tau - expected (allocation P) (fun k => P i k / tau).
Proof.
  unfold centred. rewrite (expected_ext M _ (allocation P) _ (shares P i)) by (auto using allocate_computes_allocation).
  assert (E : expected (allocation P) (shares P i) = expected (allocation P) (fun k => P i k / tau) - P i 0%nat / tau).
  { destruct (allocation_distribution M tau N w w_weights P) as [_ D]. unfold Allocation.expected.
    rewrite <- (Rmult_1_r (P i 0%nat / tau)), <- D, <- sum_scal, <- sum_minus.
    apply sum_ext. intros. unfold shares, Rdiv. ring. }
  rewrite E. unfold shares, Rdiv. ring.
Qed.

Lemma computed_terms P i j : (j < M)%nat ->
  computed_pi P j * exp (- centred P i j)
  = allocation P j * exp (- (P i j / tau - expected (allocation P) (fun k => P i k / tau))).
Proof. intros Hj. now rewrite allocate_computes_allocation, centred_on_the_mean. Qed.

Theorem allocate_computes_influence P i : (i < N)%nat -> tau * computed_influence P i = price i P.
Proof.
  intros Hi. rewrite price_closed by exact Hi. unfold computed_influence.
  rewrite (sum_ext M _ _ (fun j Hj => computed_terms P i j Hj)), influence_centred, Rmult_minus_distr_l by exact Hi.
  f_equal. unfold Allocation.expected. rewrite <- sum_scal. apply sum_ext. intros. field. lra.
Qed.

Theorem allocate_computes_without P i j : (i < N)%nat -> (j < M)%nat ->
  computed_without P i j = allocation (without i P) j.
Proof.
  intros Hi Hj. unfold computed_without, computed_influence. rewrite (sum_ext M _ _ (fun j Hj => computed_terms P i j Hj)).
  set (m := expected (allocation P) (fun k => P i k / tau)).
  destruct (score_weights M tau N w w_weights P) as [_ Z].
  destruct (score_weights M tau N w w_weights (without i P)) as [_ S]. pose proof (exp_pos m) as X.
  rewrite (sum_ext M _ (fun j => exp m / sum M (score_weight P) * score_weight (without i P) j))
    by (intros; now apply report_taken_back).
  rewrite sum_scal. unfold Rminus. rewrite exp_plus, (exp_Ropp (ln _)), exp_ln.
  - rewrite <- Rmult_assoc, computed_terms, report_taken_back by assumption. fold m.
    unfold Allocation.allocation, normalised. field. lra.
  - apply Rmult_lt_0_compat; [now apply Rdiv_lt_0_compat | exact S].
Qed.

End Payments.
