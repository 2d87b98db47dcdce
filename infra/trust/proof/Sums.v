(** Finite sums over 0, …, m − 1. *)

Require Import Reals Lra Lia.
Open Scope R_scope.

Fixpoint sum (m : nat) (f : nat -> R) : R :=
  match m with
  | O => 0
  | S k => sum k f + f k
  end.

Lemma sum_ext m f g : (forall j, (j < m)%nat -> f j = g j) -> sum m f = sum m g.
Proof.
  induction m as [|m IH]; intros H; simpl; [reflexivity|].
  rewrite IH, (H m); [reflexivity | lia | intros; apply H; lia].
Qed.

Lemma sum_le m f g : (forall j, (j < m)%nat -> f j <= g j) -> sum m f <= sum m g.
Proof.
  induction m as [|m IH]; intros H; simpl; [lra|].
  apply Rplus_le_compat; [apply IH; intros; apply H | apply H]; lia.
Qed.

Lemma sum_zero m : sum m (fun _ => 0) = 0.
Proof. induction m as [|m IH]; simpl; [|rewrite IH]; lra. Qed.

Lemma sum_nonneg m f : (forall j, (j < m)%nat -> 0 <= f j) -> 0 <= sum m f.
Proof. intros H. rewrite <- (sum_zero m). apply sum_le, H. Qed.

Lemma sum_plus m f g : sum m (fun j => f j + g j) = sum m f + sum m g.
Proof. induction m as [|m IH]; simpl; [|rewrite IH]; lra. Qed.

Lemma sum_scal m c f : sum m (fun j => c * f j) = c * sum m f.
Proof. induction m as [|m IH]; simpl; [|rewrite IH]; lra. Qed.

Lemma sum_minus m f g : sum m (fun j => f j - g j) = sum m f - sum m g.
Proof. induction m as [|m IH]; simpl; [|rewrite IH]; lra. Qed.

Lemma sum_swap m n (f : nat -> nat -> R) :
  sum m (fun j => sum n (fun k => f j k)) = sum n (fun k => sum m (fun j => f j k)).
Proof.
  induction m as [|m IH]; simpl; [symmetry; apply sum_zero|].
  now rewrite IH, sum_plus.
Qed.

(** Of all terms only the one at [i]. *)
Lemma sum_only m i x : (i < m)%nat -> sum m (fun j => if Nat.eqb j i then x else 0) = x.
Proof.
  induction m as [|m IH]; intros H; simpl; [lia|].
  destruct (Nat.eqb_spec m i) as [->|E].
  - rewrite (sum_ext i _ (fun _ => 0)), sum_zero; [lra|].
    intros j Hj; destruct (Nat.eqb_spec j i); [lia | reflexivity].
  - rewrite IH by lia; lra.
Qed.

(** A sum of terms that are not negative is positive only where a term is. *)
Lemma sum_positive_term m f : 0 < sum m f -> exists j, (j < m)%nat /\ 0 < f j.
Proof.
  induction m as [|m IH]; simpl; intros H; [lra|].
  destruct (Rlt_le_dec 0 (f m)) as [P|P]; [exists m; split; [lia | exact P]|].
  destruct IH as (j & Hj & Pj); [lra|]. exists j; split; [lia | exact Pj].
Qed.

Lemma sum_pos m f i : (i < m)%nat -> 0 < f i -> (forall j, (j < m)%nat -> 0 <= f j) -> 0 < sum m f.
Proof.
  intros Hi Pi H. apply Rlt_le_trans with (f i); [exact Pi|].
  rewrite <- (sum_only m i (f i) Hi). apply sum_le. intros j Hj.
  destruct (Nat.eqb_spec j i) as [->|]; [lra | apply H, Hj].
Qed.

(** The terms that are left when the one at [i] is taken out, numbered anew. *)
Lemma sum_removed n i f : (i <= n)%nat ->
  sum (S n) f = sum n (fun k => if Nat.ltb k i then f k else f (S k)) + f i.
Proof.
  induction n as [|n IH]; intros H; [replace i with 0%nat by lia; reflexivity|].
  change (sum (S (S n)) f) with (sum (S n) f + f (S n)).
  destruct (Nat.eq_dec i (S n)) as [->|E].
  - f_equal. apply sum_ext. intros k Hk. destruct (Nat.ltb_spec k (S n)); [reflexivity | lia].
  - rewrite IH by lia. simpl. destruct (Nat.ltb_spec n i); [lia | ring].
Qed.
