(** Money: declared ranges, rounding once to whole micros, and the bound on a charge in integers. *)

Require Import Reals Lra Lia ZArith.
From Tessera Require Import Sums Allocation Payments Hoeffding.
Open Scope R_scope.

(** [scoring._clamp]: numpy's clip. *)
Definition clip (lo hi x : R) : R := Rmin (Rmax x lo) hi.
Definition clamped (lo hi : R) (b : nat -> R) (j : nat) : R := clip lo hi (b j).

Lemma clip_inside lo hi x : lo <= x <= hi -> clip lo hi x = x.
Proof. intros H. unfold clip. rewrite Rmax_left, Rmin_left; lra. Qed.

Lemma clip_range lo hi x : lo <= hi -> lo <= clip lo hi x <= hi.
Proof.
  intros H. unfold clip. split; [|apply Rmin_r]. apply Rmin_glb; [apply Rmax_r | exact H].
Qed.

(** [payments.whole_micros]: Python's round, half to even. *)
Definition round_half_even (x : R) : Z :=
  let n := Int_part x in
  if Rlt_dec (x - IZR n) (/ 2) then n
  else if Rlt_dec (/ 2) (x - IZR n) then (n + 1)%Z
  else if Z.even n then n else (n + 1)%Z.

Theorem rounding_moves_at_most_half x : Rabs (IZR (round_half_even x) - x) <= / 2.
Proof.
  destruct (base_Int_part x) as [A B]. unfold round_half_even.
  destruct (Rlt_dec (x - IZR (Int_part x)) (/ 2)), (Rlt_dec (/ 2) (x - IZR (Int_part x))), (Z.even (Int_part x));
    rewrite ?plus_IZR; apply Rabs_le; lra.
Qed.

(** It is the nearest whole number, and of two that are equally near the even one. *)
Theorem rounding_to_nearest x n : Rabs (IZR n - x) < / 2 -> round_half_even x = n.
Proof.
  intros H. pose proof (rounding_moves_at_most_half x) as R.
  assert (D : Rabs (IZR (round_half_even x - n)) < 1).
  { rewrite minus_IZR. replace (IZR (round_half_even x) - IZR n) with ((IZR (round_half_even x) - x) - (IZR n - x)) by ring.
    pose proof (Rabs_triang (IZR (round_half_even x) - x) (- (IZR n - x))) as T. rewrite Rabs_Ropp in T.
    unfold Rminus at 1. lra. }
  apply Rabs_def2 in D. destruct D as [U L]. apply lt_IZR in U. apply (lt_IZR (-1)) in L. lia.
Qed.

Lemma Int_part_of_half n : Int_part (IZR n + / 2) = n.
Proof.
  destruct (base_Int_part (IZR n + / 2)) as [A B]. set (m := Int_part (IZR n + / 2)) in *.
  assert (U : (m < n + 1)%Z) by (apply lt_IZR; rewrite plus_IZR; lra).
  assert (L : (n < m + 1)%Z) by (apply lt_IZR; rewrite plus_IZR; lra). lia.
Qed.

Theorem ties_to_even n : round_half_even (IZR n + / 2) = if Z.even n then n else (n + 1)%Z.
Proof.
  unfold round_half_even. rewrite Int_part_of_half.
  destruct (Rlt_dec (IZR n + / 2 - IZR n) (/ 2)); [lra|]. destruct (Rlt_dec (/ 2) (IZR n + / 2 - IZR n)); [lra|].
  reflexivity.
Qed.

Lemma rounding_at_most x n : x <= IZR n -> (round_half_even x <= n)%Z.
Proof.
  intros H. pose proof (rounding_moves_at_most_half x) as R.
  assert (U : IZR (round_half_even x) <= x + / 2) by (pose proof (Rle_abs (IZR (round_half_even x) - x)); lra).
  assert (S : (round_half_even x < n + 1)%Z) by (apply lt_IZR; rewrite plus_IZR; lra). lia.
Qed.

Lemma rounding_at_least x n : IZR n <= x -> (n <= round_half_even x)%Z.
Proof.
  intros H. pose proof (rounding_moves_at_most_half x) as R. rewrite Rabs_minus_sym in R.
  assert (U : x - / 2 <= IZR (round_half_even x)) by (pose proof (Rle_abs (x - IZR (round_half_even x))); lra).
  assert (S : (n < round_half_even x + 1)%Z) by (apply lt_IZR; rewrite plus_IZR; lra). lia.
Qed.

(** [payments.charge_bound], in integers as there: Python's // is Coq's / where the divisor is positive. *)
Definition charge_bound (least largest tau : Z) : Z :=
  let spread := (largest - least)%Z in Z.min spread (- ((- spread * spread) / (8 * tau))).

Section Charges.
Variables M N : nat.
Variable w : nat -> R.
Variable tau : R.
Hypothesis tau_pos : 0 < tau.
Hypothesis w_weights : weights M w.

Local Notation utility := (utility M tau N w).
Local Notation price := (price M tau N w).

Definition charge (i : nat) (P : profile) : Z := round_half_even (price i P).
Definition billed_utility (i : nat) (r : nat -> R) (P : profile) : R :=
  expected M (allocation M tau N w P) r - IZR (charge i P).

Theorem charges_are_not_negative i P : (0 <= charge i P)%Z.
Proof. apply rounding_at_least. now apply no_deficit. Qed.

Lemma billed_near i r P : Rabs (billed_utility i r P - utility i r P) <= / 2.
Proof.
  unfold billed_utility, Allocation.utility, charge.
  pose proof (rounding_moves_at_most_half (price i P)) as H. rewrite Rabs_minus_sym in H.
  replace (expected M (allocation M tau N w P) r - IZR (round_half_even (price i P))
           - (expected M (allocation M tau N w P) r - price i P))
    with (price i P - IZR (round_half_even (price i P))) by ring. exact H.
Qed.

Theorem no_lie_gains_more_than_a_micro i r b P : (i < N)%nat ->
  billed_utility i r (report i b P) <= billed_utility i r (report i r P) + 1.
Proof.
  intros Hi. pose proof (truthful M N w tau tau_pos w_weights i r b P Hi) as T.
  pose proof (billed_near i r (report i b P)) as B. pose proof (billed_near i r (report i r P)) as R.
  pose proof (Rle_abs (billed_utility i r (report i b P) - utility i r (report i b P))).
  rewrite Rabs_minus_sym in R.
  pose proof (Rle_abs (utility i r (report i r P) - billed_utility i r (report i r P))). lra.
Qed.

(** Rounding may cost half a micro against staying away, and no more. *)
Theorem participation_within_half_a_micro i r P : (i < N)%nat ->
  expected M (allocation M tau N w (without i P)) r <= billed_utility i r (report i r P) + / 2.
Proof.
  intros Hi. pose proof (participation M N w tau tau_pos w_weights i r P Hi) as T.
  pose proof (billed_near i r (report i r P)) as R. rewrite Rabs_minus_sym in R.
  pose proof (Rle_abs (utility i r (report i r P) - billed_utility i r (report i r P))). lra.
Qed.

(** Where every report is clamped to the declared range, and the truth lies inside it, the truth is best. *)
Theorem truthful_when_clamped i lo hi r b P : (i < N)%nat -> (forall j, (j < M)%nat -> lo <= r j <= hi) ->
  utility i r (report i (clamped lo hi b) P) <= utility i r (report i (clamped lo hi r) P).
Proof.
  intros Hi H.
  assert (E : utility i r (report i (clamped lo hi r) P) = utility i r (report i r P)).
  { assert (X : forall k j, (k < N)%nat -> (j < M)%nat -> report i (clamped lo hi r) P k j = report i r P k j).
    { intros k j _ Hj. unfold report, clamped. destruct (Nat.eqb k i); [now apply clip_inside, H | reflexivity]. }
    unfold Allocation.utility. rewrite (price_ext M tau N w i _ _ X). f_equal.
    apply expected_ext; [|reflexivity]. intros j Hj. now apply allocation_ext. }
  rewrite E. now apply truthful.
Qed.

Lemma charge_bound_covers least largest t : (0 < t)%Z ->
  Rmin (IZR (largest - least)) (IZR (largest - least) * IZR (largest - least) / (8 * IZR t))
  <= IZR (charge_bound least largest t).
Proof.
  intros T. set (s := (largest - least)%Z). unfold charge_bound. fold s. set (c := (- ((- s * s) / (8 * t)))%Z).
  assert (Tr : 0 < IZR t) by now apply (IZR_lt 0).
  assert (C : IZR s * IZR s / (8 * IZR t) <= IZR c).
  { apply (Rmult_le_reg_r (8 * IZR t)); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
    rewrite <- !mult_IZR. apply IZR_le. unfold c.
    pose proof (Z.mul_div_le (- s * s) (8 * t) ltac:(lia)). nia. }
  destruct (Z.min_spec s c) as [[_ ->]|[_ ->]]; [apply Rmin_l|].
  eapply Rle_trans; [apply Rmin_r | exact C].
Qed.

(** No charge exceeds the bound: it can be reserved before any reward is known. *)
Theorem charge_within_bound i P least largest t : (i < N)%nat -> (0 < t)%Z -> tau = IZR t ->
  (forall j, (j < M)%nat -> IZR least <= P i j <= IZR largest) ->
  (charge i P <= charge_bound least largest t)%Z.
Proof.
  intros Hi T E H. apply rounding_at_most. eapply Rle_trans; [|now apply charge_bound_covers].
  rewrite minus_IZR. apply Rmin_glb.
  - apply (price_at_most_the_spread M N w tau tau_pos w_weights i P _ _ Hi H).
  - rewrite <- E. apply (price_at_most_square M N w tau tau_pos w_weights i P _ _ Hi H).
Qed.

(** Whatever is reported: what counts lies in the declared range. *)
Theorem clamped_charge_within_bound i b P least largest t : (i < N)%nat -> (0 < t)%Z -> tau = IZR t ->
  (least <= largest)%Z ->
  (charge i (report i (clamped (IZR least) (IZR largest) b) P) <= charge_bound least largest t)%Z.
Proof.
  intros Hi T E L. apply charge_within_bound; auto. intros j _. rewrite report_self.
  apply clip_range. now apply IZR_le.
Qed.

End Charges.
