"""Logs with link groups: honest ones raise no alarm, and a charge moved inside a party or split up is caught."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audit.logs import Log, kinds, make_log
from tests.support.builders import make_bidder

GROUPS = st.lists(st.sampled_from([None, "left", "right"]), min_size=1, max_size=6)


def log_of(groups: list[str | None], seed: int = 0, **changes: Any) -> Log:
    """An auction of bidders in these link groups."""
    limit = 8 * 10**13  # so that the range of a party of six can be billed
    bidders = [
        make_bidder(index, link_group=group, reward_range_micros=(-limit, limit)) for index, group in enumerate(groups)
    ]
    return make_log(seed, advertisers=bidders, **changes)


@settings(max_examples=100, deadline=None)
@given(GROUPS, st.integers(0, 10_000), st.floats(0.0, 13.9), st.sampled_from([1, 1_000, 10**6]))
def test_correctly_billed_link_groups_raise_no_finding(
    groups: list[str | None], seed: int, exponent: float, tau: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.uniform(-(10.0**exponent), 10.0**exponent, (len(groups), 4)).tolist()
    rewards = {f"advertiser-{index:02}": tuple(row) for index, row in enumerate(rows)}

    assert kinds(log_of(groups, seed, rewards_micros=rewards, tau_micros_per_nat=tau)) == []


def test_a_bill_or_bound_given_to_another_member_of_a_link_group_is_found() -> None:
    log = log_of([None, "left", "left"])
    charge = log.bills[1].charge_micros
    assert kinds(log) == []
    assert charge > 1
    assert (log.bills[2].charge_micros, log.bills[2].bound_micros) == (0, 0)

    moved = log.change_bill(1, charge_micros=0).change_bill(2, charge_micros=charge)
    split = log.change_bill(1, charge_micros=charge - 1).change_bill(2, charge_micros=1)

    assert set(kinds(moved)) == set(kinds(split)) == {"wrong_charge", "above_bound"}
    assert kinds(log.change_bill(2, link_group=None)) == ["wrong_bill_field"]
    assert kinds(log.change_bill(2, bound_micros=log.bills[1].bound_micros)) == ["wrong_bound"]


def test_a_link_group_charged_member_by_member_is_found() -> None:
    """Splitting pays: the members alone would pay less, and an operator who lets them is found out."""
    log, strangers = log_of([None, "left", "left"]), log_of([None, None, None])

    lie = log
    for place, bill in enumerate(strangers.bills):
        lie = lie.change_bill(place, charge_micros=bill.charge_micros)

    assert {"wrong_charge", "above_bound"} <= set(kinds(lie))
