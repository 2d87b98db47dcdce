(** Hoeffding's lemma, and the bound Δ²/8τ on the price that follows from it. *)

Require Import Reals Lra Lia.
From Tessera Require Import Sums Allocation Payments.
Open Scope R_scope.

(** What starts at 0 and does not fall is not negative. *)
Lemma rises (f f' : R -> R) (h : R) : 0 <= h -> f 0 = 0 ->
  (forall c, 0 <= c <= h -> derivable_pt_lim f c (f' c)) -> (forall c, 0 <= c <= h -> 0 <= f' c) -> 0 <= f h.
Proof.
  intros [H|<-] Z D P; [|lra]. destruct (MVT_cor2 f f' 0 h H D) as (c & E & C).
  specialize (P c ltac:(lra)). pose proof (Rmult_le_pos (f' c) (h - 0) P ltac:(lra)). lra.
Qed.

(** A number of two values, 1 with probability t and 0 else, has log E exp(s·X) ≤ t·s + s²/8. *)
Section Two_values.
Variable t : R.
Hypothesis t_range : 0 <= t <= 1.

Let mgf (s : R) := 1 - t + t * exp s.
Let odds (s : R) := t * exp s / mgf s.

Lemma mgf_pos s : 0 < mgf s.
Proof.
  unfold mgf. pose proof (exp_pos s) as E. destruct (Req_dec t 0) as [->|Z]; [lra|].
  assert (0 < t * exp s) by (apply Rmult_lt_0_compat; lra). lra.
Qed.

Lemma mgf_derivative s : derivable_pt_lim mgf s (t * exp s).
Proof.
  replace (t * exp s) with (0 + t * exp s) by ring. unfold mgf.
  apply (derivable_pt_lim_plus (fun _ => 1 - t) (fun s => t * exp s)); [apply derivable_pt_lim_const|].
  apply (derivable_pt_lim_scal exp t). apply derivable_pt_lim_exp.
Qed.

Lemma odds_derivative s : derivable_pt_lim odds s (odds s * (1 - odds s)).
Proof.
  pose proof (mgf_pos s) as P.
  replace (odds s * (1 - odds s)) with (((t * exp s) * mgf s - (t * exp s) * (t * exp s)) / (mgf s)²)
    by (unfold odds, Rsqr; field; lra).
  apply (derivable_pt_lim_div (fun s => t * exp s) mgf); [|apply mgf_derivative | lra].
  apply (derivable_pt_lim_scal exp t). apply derivable_pt_lim_exp.
Qed.

Lemma line_derivative c s : derivable_pt_lim (fun s => c * s) s c.
Proof.
  pose proof (derivable_pt_lim_scal id c s 1 (derivable_pt_lim_id s)) as D. rewrite Rmult_1_r in D. exact D.
Qed.

Lemma slope_nonneg h : 0 <= h -> 0 <= / 4 * h - (odds h - t).
Proof.
  intros H. apply (rises (fun s => / 4 * s - (odds s - t)) (fun s => / 4 - (odds s * (1 - odds s) - 0)) h H).
  - unfold odds, mgf. rewrite exp_0. field. lra.
  - intros c _. apply (derivable_pt_lim_minus (fun s => / 4 * s) (fun s => odds s - t)); [apply line_derivative|].
    apply (derivable_pt_lim_minus odds (fun _ => t)); [apply odds_derivative | apply derivable_pt_lim_const].
  - intros c _. replace (/ 4 - (odds c * (1 - odds c) - 0)) with ((odds c - / 2) * (odds c - / 2)) by field.
    apply Rle_0_sqr.
Qed.

Lemma two_values h : 0 <= h -> mgf h <= exp (t * h + h * h / 8).
Proof.
  intros H. assert (G : 0 <= / 8 * (h * h) + (t * h - ln (mgf h))).
  { apply (rises (fun s => / 8 * (s * s) + (t * s - ln (mgf s)))
                 (fun s => / 8 * (1 * s + s * 1) + (t - / mgf s * (t * exp s))) h H).
    - unfold mgf. rewrite exp_0. replace (1 - t + t * 1) with 1 by ring. rewrite ln_1. ring.
    - intros c _. pose proof (mgf_pos c).
      apply (derivable_pt_lim_plus (fun s => / 8 * (s * s)) (fun s => t * s - ln (mgf s))).
      + apply (derivable_pt_lim_scal (fun s => s * s)).
        apply (derivable_pt_lim_mult id id); apply derivable_pt_lim_id.
      + apply (derivable_pt_lim_minus (fun s => t * s) (fun s => ln (mgf s))); [apply line_derivative|].
        apply (derivable_pt_lim_comp mgf ln); [apply mgf_derivative | now apply derivable_pt_lim_ln].
    - intros c C. pose proof (slope_nonneg c (proj1 C)). unfold odds in *.
      replace (/ mgf c * (t * exp c)) with (t * exp c / mgf c) by (unfold Rdiv; ring). lra. }
  rewrite <- (exp_ln (mgf h)) by apply mgf_pos.
  assert (L : ln (mgf h) <= t * h + h * h / 8) by lra.
  destruct L as [L|L]; [left; now apply exp_increasing | rewrite L; lra].
Qed.

End Two_values.

(** exp lies below its chords: it lies above its tangent at the point between. *)
Lemma chord a b t : 0 <= t <= 1 -> exp ((1 - t) * a + t * b) <= (1 - t) * exp a + t * exp b.
Proof.
  intros T. set (x := (1 - t) * a + t * b). pose proof (exp_pos x) as X.
  assert (A : forall y, exp x * (1 + (y - x)) <= exp y).
  { intros y. replace y with (x + (y - x)) at 2 by ring. rewrite exp_plus.
    apply Rmult_le_compat_l; [lra | apply exp_ineq1_le]. }
  pose proof (Rmult_le_compat_l (1 - t) _ _ ltac:(lra) (A a)).
  pose proof (Rmult_le_compat_l t _ _ ltac:(lra) (A b)).
  assert ((1 - t) * (exp x * (1 + (a - x))) + t * (exp x * (1 + (b - x))) = exp x) by (unfold x; ring). lra.
Qed.

Lemma hoeffding M p x a b : distribution M p -> (forall j, (j < M)%nat -> a <= x j <= b) -> expected M p x = 0 ->
  expected M p (fun j => exp (x j)) <= exp ((b - a) * (b - a) / 8).
Proof.
  intros D R Mean. pose proof (expected_between M p x a b D R) as B. rewrite Mean in B.
  destruct (Req_dec a b) as [E|E].
  - rewrite (expected_ext M p p _ (fun _ => exp 0)).
    + rewrite constant_expected by exact D. subst b. replace ((a - a) * (a - a) / 8) with 0 by field. lra.
    + reflexivity.
    + intros j Hj. specialize (R j Hj). f_equal. lra.
  - assert (h : 0 < b - a) by lra. set (t := - a / (b - a)).
    assert (T : 0 <= t <= 1).
    { unfold t, Rdiv. split; [apply Rmult_le_pos; [lra | left; now apply Rinv_0_lt_compat]|].
      apply (Rmult_le_reg_r (b - a)); [exact h|]. rewrite Rmult_assoc, Rinv_l; lra. }
    assert (C : expected M p (fun j => exp (x j))
                <= expected M p (fun j => (b * exp a - a * exp b) / (b - a) + (exp b - exp a) / (b - a) * x j)).
    { apply sum_le. intros j Hj. apply Rmult_le_compat_l; [now apply D|]. specialize (R j Hj).
      set (u := (x j - a) / (b - a)).
      assert (U : 0 <= u <= 1).
      { unfold u, Rdiv. split; [apply Rmult_le_pos; [lra | left; now apply Rinv_0_lt_compat]|].
        apply (Rmult_le_reg_r (b - a)); [exact h|]. rewrite Rmult_assoc, Rinv_l; lra. }
      pose proof (chord a b u U) as X. replace ((1 - u) * a + u * b) with (x j) in X by (unfold u; field; lra).
      replace ((b * exp a - a * exp b) / (b - a) + (exp b - exp a) / (b - a) * x j)
        with ((1 - u) * exp a + u * exp b) by (unfold u; field; lra). exact X. }
    apply (Rle_trans _ _ _ C). clear C.
    assert (L : expected M p (fun j => (b * exp a - a * exp b) / (b - a) + (exp b - exp a) / (b - a) * x j)
                = (b * exp a - a * exp b) / (b - a)).
    { unfold expected. rewrite (sum_ext M _ (fun j => (b * exp a - a * exp b) / (b - a) * p j
        + (exp b - exp a) / (b - a) * (p j * x j))) by (intros; ring).
      rewrite sum_plus, !sum_scal. destruct D as [_ S]. rewrite S. unfold expected in Mean. rewrite Mean. ring. }
    rewrite L. pose proof (two_values t T (b - a) ltac:(lra)) as V.
    replace ((b - a) * (b - a) / 8) with (a + (t * (b - a) + (b - a) * (b - a) / 8)) by (unfold t; field; lra).
    rewrite exp_plus. replace ((b * exp a - a * exp b) / (b - a)) with (exp a * (1 - t + t * exp (b - a))).
    + apply Rmult_le_compat_l; [left; apply exp_pos | exact V].
    + assert (X : exp b = exp a * exp (b - a)) by (rewrite <- exp_plus; f_equal; ring).
      rewrite X. unfold t. field. lra.
Qed.

Section Bound.
Variables M N : nat.
Variable w : nat -> R.
Variable tau : R.
Hypothesis tau_pos : 0 < tau.
Hypothesis w_weights : weights M w.

(** Δ²/8τ, where the reports of one advertiser lie in a range of width Δ. *)
Theorem price_at_most_square i P lo hi : (i < N)%nat -> (forall j, (j < M)%nat -> lo <= P i j <= hi) ->
  price M tau N w i P <= (hi - lo) * (hi - lo) / (8 * tau).
Proof.
  intros Hi R. set (p := allocation M tau N w P).
  assert (D : distribution M p) by now apply allocation_distribution.
  set (m := expected M p (fun j => P i j / tau)).
  assert (E : price M tau N w i P = tau * ln (sum M (fun j => p j * exp (- (P i j / tau - m))))).
  { unfold p. rewrite (influence_centred M N w tau tau_pos w_weights P i m Hi).
    rewrite (price_closed M N w tau tau_pos w_weights i P Hi), Rmult_minus_distr_l. f_equal.
    unfold m, p, expected. rewrite <- sum_scal. apply sum_ext. intros. field. lra. }
  pose proof (hoeffding M p (fun j => - (P i j / tau - m)) (- (hi / tau - m)) (- (lo / tau - m)) D) as H.
  assert (I : 0 < / tau) by now apply Rinv_0_lt_compat.
  assert (Mean : expected M p (fun j => - (P i j / tau - m)) = 0).
  { unfold expected. rewrite (sum_ext M _ (fun j => m * p j - p j * (P i j / tau))) by (intros; ring).
    rewrite sum_minus, sum_scal. destruct D as [_ S]. rewrite S. fold (expected M p (fun j => P i j / tau)). fold m. ring. }
  assert (B : forall j, (j < M)%nat -> - (hi / tau - m) <= - (P i j / tau - m) <= - (lo / tau - m)).
  { intros j Hj. specialize (R j Hj). unfold Rdiv.
    pose proof (Rmult_le_compat_r (/ tau) lo (P i j)). pose proof (Rmult_le_compat_r (/ tau) (P i j) hi). lra. }
  specialize (H B Mean). rewrite E.
  assert (Z : 0 < sum M (fun j => p j * exp (- (P i j / tau - m)))).
  { destruct (sum_positive_term M p) as (k & Hk & Pk); [destruct D; lra|].
    apply (sum_pos M _ k Hk); [apply Rmult_lt_0_compat; [exact Pk | apply exp_pos]|].
    intros j Hj. apply Rmult_le_pos; [now apply D | left; apply exp_pos]. }
  assert (L : ln (sum M (fun j => p j * exp (- (P i j / tau - m)))) <= (hi - lo) / tau * ((hi - lo) / tau) / 8).
  { unfold expected in H.
    replace ((- (lo / tau - m) - - (hi / tau - m)) * (- (lo / tau - m) - - (hi / tau - m)) / 8)
      with ((hi - lo) / tau * ((hi - lo) / tau) / 8) in H by (field; lra).
    rewrite <- (ln_exp ((hi - lo) / tau * ((hi - lo) / tau) / 8)).
    destruct H as [H|H]; [left; now apply ln_increasing | rewrite H; lra]. }
  apply (Rmult_le_compat_l tau) in L; [|lra].
  replace ((hi - lo) * (hi - lo) / (8 * tau)) with (tau * ((hi - lo) / tau * ((hi - lo) / tau) / 8)) by (field; lra).
  exact L.
Qed.

End Bound.
