"""Where a stage had come to, told by its outcomes: against a stage that is interrupted anywhere."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.stream.completion import WINDOW, Completion
from workers.stream.outcomes import Reached


def reached(finished: dict[int, bool], *, in_order: bool, begin: int = 0) -> Completion:
    """`finished`: of each stored offset whether an outcome is there."""
    found = Reached(begin, in_order)
    for offset, is_finished in sorted(finished.items()):
        found.add(offset, finished=is_finished)
    return found.completion


def test_without_any_outcome_it_begins_at_the_first_record() -> None:
    for in_order in (True, False):
        assert reached({7: False, 8: False}, in_order=in_order, begin=7) == Completion(7)


def test_in_order_everything_below_the_last_outcome_is_finished() -> None:
    assert reached({0: True, 1: False, 2: True, 3: False}, in_order=True) == Completion(3)


def test_out_of_order_what_is_finished_early_is_known() -> None:
    assert reached({0: True, 1: False, 2: True, 3: False, 5: True}, in_order=False) == Completion(1, frozenset({2, 5}))


@given(st.sets(st.integers(0, 60)), st.integers(0, 60))
def test_out_of_order_nothing_unfinished_is_left_out_and_nothing_finished_is_done_again(
    early: set[int], base: int
) -> None:
    finished = {offset: offset < base or offset in early for offset in range(61)}

    found = reached(finished, in_order=False)

    done = {offset for offset in range(61) if offset < found.base or offset in found.done}
    assert done == {offset for offset, is_finished in finished.items() if is_finished}


@pytest.mark.parametrize("seed", range(5))
def test_outcomes_that_retention_deleted_cost_no_more_than_a_window(seed: int) -> None:
    # Given a log twice as long as the window, whose older outcomes are gone, and a stage that had finished most of it
    rng, last = random.Random(seed), 3 * WINDOW
    deleted = rng.randrange(last - 100)
    finished = {offset: offset >= deleted and rng.random() < 0.9 for offset in range(last)} | {last: True}

    found = reached(finished, in_order=False)

    assert last - WINDOW < found.base <= last + 1
    assert all(finished[offset] for offset in found.done)
    unfinished = [offset for offset in finished if not finished[offset] and offset > last - WINDOW]
    assert found.base == min(unfinished, default=last + 1)
    assert all(offset not in found.done for offset in unfinished)
    assert max(found.done, default=found.base) - found.base < WINDOW
