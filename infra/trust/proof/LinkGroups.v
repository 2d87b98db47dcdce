(** Advertisers with one label are one party: their reports add up to one row, which is charged once. *)

Require Import Reals Lra Lia.
From Tessera Require Import Sums Allocation Payments Hoeffding.
Open Scope R_scope.

Section LinkGroups.
Variables M N G : nat.                  (* candidates, advertisers, parties *)
Variable label : nat -> nat.            (* of each advertiser *)
Hypothesis labels : forall k, (k < N)%nat -> (label k < G)%nat.
Variable w : nat -> R.
Variable tau : R.
Hypothesis tau_pos : 0 < tau.
Hypothesis w_weights : weights M w.

(** [link_groups.group]. *)
Definition grouped (P : profile) : profile :=
  fun g j => sum N (fun k => if Nat.eqb (label k) g then P k j else 0).

Lemma grouped_total P j : sum G (fun g => grouped P g j) = sum N (fun k => P k j).
Proof.
  unfold grouped. rewrite sum_swap. apply sum_ext. intros k Hk.
  rewrite (sum_ext G _ (fun g => if Nat.eqb g (label k) then P k j else 0)) by (intros; now rewrite Nat.eqb_sym).
  apply sum_only, labels, Hk.
Qed.

(** Linking leaves the reply's distribution as it is. *)
Theorem grouping_keeps_the_allocation P j : (j < M)%nat ->
  allocation M tau G w (grouped P) j = allocation M tau N w P j.
Proof.
  intros Hj. apply normalised_ext; [|exact Hj]. intros k _. unfold score_weight. now rewrite grouped_total.
Qed.

(** The members of party [g] report [B], everybody else what they do in [P]. *)
Definition members_report (g : nat) (B P : profile) : profile :=
  fun k j => if Nat.eqb (label k) g then B k j else P k j.

Lemma grouped_members_report g B P h j :
  grouped (members_report g B P) h j = report g (grouped B g) (grouped P) h j.
Proof.
  unfold grouped, members_report, report. destruct (Nat.eqb_spec h g) as [->|E].
  - apply sum_ext. intros k _. now destruct (Nat.eqb (label k) g).
  - apply sum_ext. intros k _. destruct (Nat.eqb_spec (label k) h) as [->|]; [|reflexivity].
    destruct (Nat.eqb_spec h g); [contradiction | reflexivity].
Qed.

Lemma utility_of_members g r B P :
  utility M tau G w g r (grouped (members_report g B P)) = utility M tau G w g r (report g (grouped B g) (grouped P)).
Proof.
  unfold utility. rewrite (price_ext M tau G w g _ (report g (grouped B g) (grouped P)))
    by (intros; apply grouped_members_report).
  f_equal. apply expected_ext; [|reflexivity]. intros j Hj.
  apply allocation_ext; [|exact Hj]. intros. apply grouped_members_report.
Qed.

(** A party whose members are worth [R k j] together cannot do better than by each of them telling the truth. *)
Theorem truthful_for_a_party g R B P : (g < G)%nat ->
  utility M tau G w g (grouped R g) (grouped (members_report g B P))
  <= utility M tau G w g (grouped R g) (grouped (members_report g R P)).
Proof. intros Hg. rewrite !utility_of_members. now apply truthful. Qed.

(** How linked members split their report among themselves does not matter. *)
Theorem splitting_among_the_linked g B B' P : (g < G)%nat ->
  (forall j, (j < M)%nat -> grouped B g j = grouped B' g j) ->
  price M tau G w g (grouped (members_report g B P)) = price M tau G w g (grouped (members_report g B' P)).
Proof.
  intros Hg H. apply price_ext. intros h j _ Hj. rewrite !grouped_members_report.
  unfold report. destruct (Nat.eqb h g); [now apply H | reflexivity].
Qed.

(** A share of a bid pays at most its share of the price: the reply is the same, and its part is smaller. *)
Lemma share_pays_at_most_its_share N' P P' i i' alpha : (i < N)%nat -> (i' < N')%nat -> 0 <= alpha <= 1 ->
  (forall j, (j < M)%nat -> sum N (fun k => P k j) = sum N' (fun k => P' k j)) ->
  (forall j, (j < M)%nat -> P i j = alpha * P' i' j) ->
  price M tau N w i P <= alpha * price M tau N' w i' P'.
Proof.
  intros Hi Hi' A T S.
  set (p := allocation M tau N' w P').
  assert (D : distribution M p) by now apply allocation_distribution.
  assert (Same : forall j, (j < M)%nat -> allocation M tau N w P j = p j).
  { intros j Hj. apply normalised_ext; [|exact Hj]. intros k Hk. unfold score_weight. now rewrite T. }
  set (m := expected M p (fun j => P' i' j / tau)).
  set (x := fun j => - (P' i' j / tau - m)).
  assert (F : forall n Q l c, (l < n)%nat -> (forall j, (j < M)%nat -> allocation M tau n w Q j = p j) ->
    (forall j, (j < M)%nat -> Q l j = c * P' i' j) ->
    price M tau n w l Q = tau * ln (sum M (fun j => p j * exp (c * x j)))).
  { intros n Q l c Hl HQ HR.
    rewrite (sum_ext M _ (fun j => allocation M tau n w Q j * exp (- (Q l j / tau - c * m)))).
    - rewrite (influence_centred M n w tau tau_pos w_weights Q l (c * m) Hl).
      rewrite (price_closed M n w tau tau_pos w_weights l Q Hl), Rmult_minus_distr_l. f_equal.
      unfold m, expected. rewrite <- Rmult_assoc, <- sum_scal. apply sum_ext. intros j Hj.
      rewrite (HQ j Hj), (HR j Hj). field. lra.
    - intros j Hj. rewrite (HQ j Hj), (HR j Hj). unfold x. do 2 f_equal. field. lra. }
  rewrite (F N P i alpha Hi Same S), (F N' P' i' 1 Hi') by (intros; unfold p; (reflexivity || ring)).
  rewrite (sum_ext M (fun j => p j * exp (1 * x j)) (fun j => p j * exp (x j))) by (intros; now rewrite Rmult_1_l).
  assert (Pos : forall y, 0 < sum M (fun j => p j * exp (y j))).
  { intros y. destruct (sum_positive_term M p) as (k & Hk & Pk); [destruct D; lra|].
    apply (sum_pos M _ k Hk); [apply Rmult_lt_0_compat; [exact Pk | apply exp_pos]|].
    intros j Hj. apply Rmult_le_pos; [now apply D | left; apply exp_pos]. }
  set (E := sum M (fun j => p j * exp (x j))). pose proof (Pos x) as HE. fold E in HE.
  assert (L : ln (sum M (fun j => p j * exp (alpha * x j))) <= alpha * ln E).
  { assert (C : sum M (fun j => p j * exp (alpha * (x j - ln E))) <= 1).
    { replace 1 with (sum M (fun j => (1 - alpha) * p j + alpha * (/ E * (p j * exp (x j))))).
      - apply sum_le. intros j Hj. pose proof (chord 0 (x j - ln E) alpha A) as K.
        replace ((1 - alpha) * 0 + alpha * (x j - ln E)) with (alpha * (x j - ln E)) in K by ring.
        rewrite exp_0 in K. unfold Rminus in K at 3. rewrite exp_plus, exp_Ropp, exp_ln in K by exact HE.
        pose proof (Rmult_le_compat_l (p j) _ _ (proj1 D j Hj) K) as Q.
        eapply Rle_trans; [exact Q|]. right. ring.
      - rewrite sum_plus, !sum_scal. fold E. destruct D as [_ S1]. rewrite S1. field. lra. }
    rewrite (sum_ext M _ (fun j => exp (- (alpha * ln E)) * (p j * exp (alpha * x j)))) in C.
    - rewrite sum_scal, exp_Ropp in C. pose proof (exp_pos (alpha * ln E)) as X.
      apply (Rmult_le_compat_l (exp (alpha * ln E))) in C; [|lra].
      rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l, Rmult_1_r in C by lra.
      rewrite <- (ln_exp (alpha * ln E)).
      destruct C as [C|C]; [left; apply ln_increasing; [apply Pos | exact C] | rewrite C; lra].
    - intros j _. replace (alpha * (x j - ln E)) with (- (alpha * ln E) + alpha * x j) by ring.
      rewrite exp_plus. ring. }
  apply (Rmult_le_compat_l tau) in L; [|lra]. lra.
Qed.

(** One bid split in proportion among several names that are not linked pays no more in all than linked, where it
    pays as the one bid it is: what linking is for. *)
Theorem false_names_pay_at_most_the_linked_price P g alpha : (g < G)%nat ->
  (forall k, (k < N)%nat -> 0 <= alpha k <= 1) ->
  sum N (fun k => if Nat.eqb (label k) g then alpha k else 0) = 1 ->
  (forall k j, (k < N)%nat -> (j < M)%nat -> label k = g -> P k j = alpha k * grouped P g j) ->
  sum N (fun k => if Nat.eqb (label k) g then price M tau N w k P else 0) <= price M tau G w g (grouped P).
Proof.
  intros Hg A One S. set (one := price M tau G w g (grouped P)).
  replace one with (sum N (fun k => one * (if Nat.eqb (label k) g then alpha k else 0))) by (rewrite sum_scal, One; ring).
  apply sum_le. intros k Hk. destruct (Nat.eqb_spec (label k) g) as [E|E]; [|lra].
  rewrite Rmult_comm. apply share_pays_at_most_its_share; auto.
  intros. symmetry. apply grouped_total.
Qed.

End LinkGroups.
