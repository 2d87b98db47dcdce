(** What all theorems together rest on: printed when this file is compiled, and compared by
    tests/truthfulness/test_machine_proof.py. One question for all, as an answer takes a second. *)

From Tessera Require Import Payments Hoeffding Charges LinkGroups.

Definition theorems := (
  cost_of_a_lie,
  truthful,
  no_deficit,
  gain_of_taking_part,
  participation,
  price_at_most_the_spread,
  almost_individually_rational,
  absence,
  outcome_in_expectation,
  outcome_truthful_in_expectation,
  no_offset_is_offset_less_a_constant,
  no_offset_truthful,
  shift,
  allocate_computes_allocation,
  allocate_computes_influence,
  allocate_computes_without,
  price_at_most_square,
  rounding_moves_at_most_half,
  rounding_to_nearest,
  ties_to_even,
  charges_are_not_negative,
  no_lie_gains_more_than_a_micro,
  participation_within_half_a_micro,
  truthful_when_clamped,
  charge_within_bound,
  clamped_charge_within_bound,
  grouping_keeps_the_allocation,
  truthful_for_a_party,
  splitting_among_the_linked,
  false_names_pay_at_most_the_linked_price
).

Print Assumptions theorems.
