(** The auction's definitions, and the identity from which its theorems follow.

    M candidates, N advertisers. [w j] is the weight of candidate j before any report, π_ref/q = exp(log_ref − log_q);
    it is 0 where log_ref is −∞. A profile [P] holds the reports: [P i j] is what advertiser i says reply j is worth,
    in micros. [tau] is in micros per nat. *)

Require Import Reals Lra Lia.
From Tessera Require Import Sums.
Open Scope R_scope.

Definition profile := nat -> nat -> R.

(** The row of one advertiser replaced: by another report, or by nothing. *)
Definition report (i : nat) (b : nat -> R) (P : profile) : profile :=
  fun k j => if Nat.eqb k i then b j else P k j.
Definition without (i : nat) (P : profile) : profile := report i (fun _ => 0) P.

Section Candidates.
Variable M : nat.

Definition normalised (v : nat -> R) (j : nat) : R := v j / sum M v.
Definition expected (p r : nat -> R) : R := sum M (fun j => p j * r j).
(** In nats. A term with p j = 0 is 0, as 0·ln(0/q) is read; it is used only where q j = 0 makes p j = 0. *)
Definition KL (p q : nat -> R) : R := sum M (fun j => p j * ln (p j / q j)).

Definition weights (v : nat -> R) : Prop := (forall j, (j < M)%nat -> 0 <= v j) /\ 0 < sum M v.
Definition distribution (p : nat -> R) : Prop := (forall j, (j < M)%nat -> 0 <= p j) /\ sum M p = 1.
(** Where [q] is 0, [p] is. *)
Definition within (p q : nat -> R) : Prop := forall j, (j < M)%nat -> q j = 0 -> p j = 0.

Lemma expected_ext p p' r r' : (forall j, (j < M)%nat -> p j = p' j) -> (forall j, (j < M)%nat -> r j = r' j) ->
  expected p r = expected p' r'.
Proof. intros H H'. apply sum_ext. intros j Hj. now rewrite H, H'. Qed.

Lemma KL_ext p p' q q' : (forall j, (j < M)%nat -> p j = p' j) -> (forall j, (j < M)%nat -> q j = q' j) ->
  KL p q = KL p' q'.
Proof. intros H H'. apply sum_ext. intros j Hj. now rewrite H, H'. Qed.

Lemma normalised_ext v v' j : (forall j, (j < M)%nat -> v j = v' j) -> (j < M)%nat -> normalised v j = normalised v' j.
Proof. intros H Hj. unfold normalised. now rewrite (sum_ext M v v' H), (H j Hj). Qed.

Lemma normalised_distribution v : weights v -> distribution (normalised v).
Proof.
  intros [H S]. split.
  - intros j Hj. apply Rmult_le_pos; [now apply H | left; now apply Rinv_0_lt_compat].
  - unfold normalised. rewrite (sum_ext M _ (fun j => / sum M v * v j)) by (intros; unfold Rdiv; ring).
    rewrite sum_scal. apply Rinv_l. lra.
Qed.

Lemma ln_le_minus_one x : 0 < x -> ln x <= x - 1.
Proof. intros H. pose proof (exp_ineq1_le (ln x)) as E. rewrite exp_ln in E by exact H. lra. Qed.

Lemma ln_quotient a b : 0 < a -> 0 < b -> ln (a / b) = ln a - ln b.
Proof.
  intros A B. unfold Rdiv. rewrite ln_mult, ln_Rinv; [ring | exact B | exact A | now apply Rinv_0_lt_compat].
Qed.

(** Gibbs' inequality. *)
Lemma KL_nonneg p q : distribution p -> distribution q -> within p q -> 0 <= KL p q.
Proof.
  intros [Hp Sp] [Hq Sq] A. replace 0 with (sum M (fun j => p j - q j)) by (rewrite sum_minus; lra).
  apply sum_le. intros j Hj. specialize (Hp j Hj). specialize (Hq j Hj). specialize (A j Hj).
  destruct (Req_dec (p j) 0) as [Z|Z]; [rewrite Z; lra|].
  assert (0 < q j) by (destruct Hq; [assumption | symmetry in H; apply A in H; contradiction]).
  assert (0 < p j) by lra.
  replace (p j / q j) with (/ (q j / p j)) by (field; lra).
  rewrite ln_Rinv by (apply Rdiv_lt_0_compat; assumption).
  pose proof (ln_le_minus_one (q j / p j) ltac:(apply Rdiv_lt_0_compat; assumption)) as L.
  apply (Rmult_le_compat_l (p j)) in L; [|lra].
  replace (p j * (q j / p j - 1)) with (q j - p j) in L by (field; lra). lra.
Qed.

Lemma KL_self p : KL p p = 0.
Proof.
  unfold KL. rewrite (sum_ext M _ (fun _ => 0)); [apply sum_zero|]. intros j _.
  destruct (Req_dec (p j) 0) as [Z|Z]; [rewrite Z; ring|].
  unfold Rdiv. rewrite Rinv_r, ln_1 by exact Z. ring.
Qed.

Lemma constant_expected p c : distribution p -> expected p (fun _ => c) = c.
Proof.
  intros [_ S]. unfold expected. rewrite (sum_ext M _ (fun j => c * p j)) by (intros; ring).
  rewrite sum_scal, S. ring.
Qed.

Lemma expected_between p r lo hi : distribution p -> (forall j, (j < M)%nat -> lo <= r j <= hi) ->
  lo <= expected p r <= hi.
Proof.
  intros D H. pose proof (constant_expected p lo D) as L. pose proof (constant_expected p hi D) as U.
  destruct D as [Hp _]. unfold expected in *.
  split; [rewrite <- L | rewrite <- U]; apply sum_le; intros j Hj; apply Rmult_le_compat_l; auto; apply H, Hj.
Qed.

Variable tau : R.
Hypothesis tau_pos : 0 < tau.

(** Weights after one more report [a] has been counted. *)
Definition tilted (v a : nat -> R) (j : nat) : R := v j * exp (a j / tau).

Lemma tilted_zero v a j : tilted v a j = 0 -> v j = 0.
Proof. intros H. apply Rmult_integral in H. destruct H as [|H]; [assumption | pose proof (exp_pos (a j / tau)); lra]. Qed.

Lemma tilted_weights v a : weights v -> weights (tilted v a).
Proof.
  intros [H S]. assert (N : forall j, (j < M)%nat -> 0 <= tilted v a j)
    by (intros; apply Rmult_le_pos; [auto | left; apply exp_pos]).
  split; [exact N|]. destruct (sum_positive_term M v S) as (i & Hi & Pi).
  apply (sum_pos M _ i Hi); [|exact N]. apply Rmult_lt_0_compat; [exact Pi | apply exp_pos].
Qed.

Lemma normalised_within p v : weights v -> (forall j, (j < M)%nat -> v j = 0 -> p j = 0) -> within p (normalised v).
Proof.
  intros [_ S] H j Hj E. apply H; [exact Hj|]. unfold normalised in E. apply Rmult_integral in E.
  destruct E as [|E]; [assumption|]. apply Rinv_neq_0_compat in E; [contradiction | lra].
Qed.

Lemma normalised_tilted_within v a v' : weights v' -> (forall j, (j < M)%nat -> v' j = 0 -> v j = 0) ->
  within (normalised (tilted v a)) (normalised v').
Proof.
  intros W H. apply normalised_within; [exact W|]. intros j Hj E.
  unfold normalised, tilted. rewrite (H j Hj E). unfold Rdiv. ring.
Qed.

(** Whatever distribution [p] comes about: its worth less its divergence from the others' allocation is the same
    constant, less its divergence from the allocation that [a] itself brings about. *)
Lemma worth_less_divergence v a p : weights v -> distribution p -> (forall j, (j < M)%nat -> v j = 0 -> p j = 0) ->
  expected p a - tau * KL p (normalised v)
  = tau * ln (sum M (tilted v a) / sum M v) - tau * KL p (normalised (tilted v a)).
Proof.
  intros W [Hp Sp] A. pose proof (tilted_weights v a W) as [_ Z]. destruct W as [Hv S].
  set (L := ln (sum M (tilted v a) / sum M v)).
  assert (E : KL p (normalised v) = KL p (normalised (tilted v a)) + / tau * expected p a - L).
  { unfold KL, expected. rewrite <- sum_scal, <- sum_plus. replace L with (L * sum M p) by (rewrite Sp; ring).
    rewrite <- sum_scal, <- sum_minus. apply sum_ext. intros j Hj.
    destruct (Req_dec (p j) 0) as [E|E]; [rewrite E; ring|].
    assert (0 < p j) by (specialize (Hp j Hj); lra).
    assert (0 < v j) by (specialize (Hv j Hj); specialize (A j Hj); destruct Hv; [assumption|]; symmetry in H0; tauto).
    unfold L, normalised, tilted in *. pose proof (exp_pos (a j / tau)).
    replace (p j / (v j / sum M v)) with
      (p j / (v j * exp (a j / tau) / sum M (fun j => v j * exp (a j / tau)))
       * exp (a j / tau) * / (sum M (fun j => v j * exp (a j / tau)) / sum M v)) by (field; lra).
    assert (0 < p j / (v j * exp (a j / tau) / sum M (fun j => v j * exp (a j / tau)))).
    { repeat (apply Rdiv_lt_0_compat || apply Rmult_lt_0_compat); assumption. }
    assert (0 < sum M (fun j => v j * exp (a j / tau)) / sum M v) by (apply Rdiv_lt_0_compat; assumption).
    rewrite !ln_mult, ln_exp, ln_Rinv; try assumption.
    - unfold Rdiv. ring.
    - now apply Rmult_lt_0_compat.
    - now apply Rinv_0_lt_compat. }
  rewrite E. field. lra.
Qed.

Section Auction.
Variable N : nat.
Variable w : nat -> R.

(** The mechanism: allocation π, the same without advertiser i, the price that is billed. *)
Definition score_weight (P : profile) (j : nat) : R := w j * exp (sum N (fun k => P k j) / tau).
Definition allocation (P : profile) : nat -> R := normalised (score_weight P).
Definition price (i : nat) (P : profile) : R := tau * KL (allocation P) (allocation (without i P)).

(** What an advertiser with the true rewards [r] is left with, in expectation over the draw, whatever it reports. *)
Definition utility (i : nat) (r : nat -> R) (P : profile) : R := expected (allocation P) r - price i P.

Lemma sum_without i P j : (i < N)%nat -> sum N (fun k => P k j) = sum N (fun k => without i P k j) + P i j.
Proof.
  intros Hi. rewrite <- (sum_only N i (P i j) Hi), <- sum_plus. apply sum_ext. intros k _.
  unfold without, report. destruct (Nat.eqb_spec k i) as [->|]; lra.
Qed.

Lemma score_weight_tilted i P j : (i < N)%nat -> score_weight P j = tilted (score_weight (without i P)) (P i) j.
Proof.
  intros Hi. unfold score_weight, tilted. rewrite (sum_without i P j Hi), Rmult_assoc, <- exp_plus.
  do 2 f_equal. field. lra.
Qed.

Lemma score_weight_ext P P' j : (forall k, (k < N)%nat -> P k j = P' k j) -> score_weight P j = score_weight P' j.
Proof. intros H. unfold score_weight. now rewrite (sum_ext N _ (fun k => P' k j)). Qed.

Lemma allocation_ext P P' j : (forall k j, (k < N)%nat -> (j < M)%nat -> P k j = P' k j) -> (j < M)%nat -> allocation P j = allocation P' j.
Proof. intros H Hj. apply normalised_ext; [|exact Hj]. intros. apply score_weight_ext. intros. now apply H. Qed.

Lemma price_ext i P P' : (forall k j, (k < N)%nat -> (j < M)%nat -> P k j = P' k j) -> price i P = price i P'.
Proof.
  intros H. unfold price. f_equal. apply KL_ext; intros j Hj; (apply allocation_ext; [|exact Hj]); [exact H|].
  intros k j' Hk Hj'. unfold without, report. now rewrite H.
Qed.

Lemma without_report i b P k j : without i (report i b P) k j = without i P k j.
Proof. unfold without, report. now destruct (Nat.eqb k i). Qed.

Lemma report_self i b P : report i b P i = b.
Proof. unfold report. now rewrite Nat.eqb_refl. Qed.

Hypothesis w_weights : weights w.

Lemma score_weights P : weights (score_weight P).
Proof. exact (tilted_weights w (fun j => sum N (fun k => P k j)) w_weights). Qed.

Lemma allocation_distribution P : distribution (allocation P).
Proof. apply normalised_distribution, score_weights. Qed.

(** An allocation is 0 only where the candidate is impossible, whoever takes part. *)
Lemma score_weight_zero P P' j : score_weight P j = 0 -> score_weight P' j = 0.
Proof.
  intros H. apply (tilted_zero w (fun j => sum N (fun k => P k j))) in H.
  unfold score_weight. rewrite H. ring.
Qed.

Lemma allocation_within P P' : within (allocation P) (allocation P').
Proof.
  apply normalised_within; [apply score_weights|]. intros j _ E.
  unfold allocation, normalised. rewrite (score_weight_zero P' P j E). unfold Rdiv. ring.
Qed.

Lemma allocation_report i b P j : (i < N)%nat -> (j < M)%nat ->
  allocation (report i b P) j = normalised (tilted (score_weight (without i P)) b) j.
Proof.
  intros Hi Hj. apply normalised_ext; [|exact Hj]. intros k _. rewrite (score_weight_tilted i _ k Hi), report_self.
  unfold tilted. f_equal. apply score_weight_ext. intros. apply without_report.
Qed.

(** What a report [b] leaves an advertiser whose true rewards are [r]: a constant, less what the lie moves. *)
Lemma utility_of_report i r b P : (i < N)%nat ->
  utility i r (report i b P)
  = tau * ln (sum M (tilted (score_weight (without i P)) r) / sum M (score_weight (without i P)))
    - tau * KL (allocation (report i b P)) (allocation (report i r P)).
Proof.
  intros Hi. unfold utility, price.
  rewrite (KL_ext _ (allocation (report i b P)) (allocation (without i (report i b P))) (normalised (score_weight (without i P)))).
  2: reflexivity.
  2: { intros j Hj. apply allocation_ext; [|exact Hj]. intros. apply without_report. }
  rewrite worth_less_divergence.
  - f_equal. f_equal. apply KL_ext; [reflexivity|]. intros j Hj. symmetry. now apply allocation_report.
  - apply score_weights.
  - apply allocation_distribution.
  - intros j Hj E. unfold allocation, normalised. rewrite (score_weight_zero (without i P) _ j E). unfold Rdiv. ring.
Qed.

End Auction.
End Candidates.
