"""No false alarm on what the product settles, however wide; the float filter agrees with decimals within its bound."""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.auction import Bidder
from tests.audit.logs import Log, audited, kinds, make_log
from tests.mechanism.auctions import Numbers, auctions
from tests.mechanism.exact import DIGITS
from tests.mechanism.exact import solve as solve_exactly
from tests.support.builders import make_bidder, make_candidate
from workers.audit.auction import read_scored
from workers.audit.charges import Amount, Correctness, check_charge
from workers.audit.exact import Exact
from workers.audit.findings import Check, Finding
from workers.audit.recompute import solve

LEAST_LOG_REF = -1e9  # what an event can hold
LARGEST = 5 * 10**14
WIDE: dict[str, Any] = {"candidates": (1, 12), "advertisers": (1, 5)}


def log_of(auction: Numbers, **changes: Any) -> Log:
    """The numbers as an auction that the product settled, every bidder with the widest range there is."""
    bidders = [make_bidder(i, reward_range_micros=(-LARGEST, LARGEST)) for i in range(len(auction.rewards))]
    rewards = np.clip(auction.rewards, -LARGEST, LARGEST).tolist()
    fields: dict[str, Any] = {
        "candidates": [make_candidate(j, log_q=log_q) for j, log_q in enumerate(auction.log_q.tolist())],
        "advertisers": bidders,
        "log_ref": tuple(np.maximum(auction.log_ref, LEAST_LOG_REF).tolist()),
        "rewards_micros": {one.advertiser_id: tuple(row) for one, row in zip(bidders, rewards, strict=True)},
        "tau_micros_per_nat": max(1, round(auction.tau)),
    }
    return make_log(1, **(fields | changes))


def assert_honest(log: Log) -> None:
    """The product's log is right, and float64 stays within its bound of the decimals."""
    found: list[Finding] = []
    tally = audited(log, keep=found.append)
    assert [finding.sentence for finding in found] == []
    assert tally.checked[Check.CHARGES] > 0
    auction = read_scored(log.scored, "")
    solved, exact = solve(auction), Exact(auction)
    for place in range(len(auction.parties)):
        right = exact.charge(place)
        with localcontext(DIGITS):
            assert abs(Decimal(solved.charges[place]) - right) <= Decimal(solved.bounds[place])


@settings(max_examples=100, deadline=None)
@given(auctions(tau_exponents=(0.0, 8.0), nats_exponents=(-4.0, 2.0), **WIDE))
def test_the_error_bound_holds_for_ordinary_auctions_over_eight_decades_of_tau(auction: Numbers) -> None:
    assert_honest(log_of(auction))


@settings(max_examples=100, deadline=None)
@given(auctions(tau_exponents=(0.0, 4.0), nats_exponents=(2.0, 10.0), **WIDE))
def test_the_error_bound_holds_for_enormous_bids(auction: Numbers) -> None:
    assert_honest(log_of(auction))


@settings(max_examples=60, deadline=None)
@given(auctions(tau_exponents=(6.0, 12.0), nats_exponents=(-9.0, 1.0), **WIDE))
def test_the_error_bound_holds_for_enormous_tau(auction: Numbers) -> None:
    assert_honest(log_of(auction))


@settings(max_examples=60, deadline=None)
@given(auctions(candidates=(1, 8), advertisers=(3, 6), tau_exponents=(0.0, 3.0), nats_exponents=(-1.0, 1.0)), st.data())
def test_the_error_bound_holds_for_bids_on_constants_that_nearly_cancel(auction: Numbers, data: st.DataObject) -> None:
    """Each bid swings by a few nats around a value of up to half a billion units of money."""
    sizes = data.draw(st.lists(st.floats(-4e14, 4e14), min_size=len(auction.rewards), max_size=len(auction.rewards)))

    assert_honest(log_of(Numbers(auction.log_q, auction.log_ref, auction.rewards + np.array(sizes)[:, None], 7.0)))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(2, 5), st.integers(0, 2**32 - 1), st.floats(3.0, 14.5))
def test_the_error_bound_holds_for_opposed_bids_that_cancel(
    candidates: int, bidders: int, seed: int, exponent: float
) -> None:
    """The bids add up to a few nats although each is enormous: the worst there is for float64."""
    rng = np.random.default_rng(seed)
    rewards = rng.uniform(-(10.0**exponent), 10.0**exponent, (bidders, candidates))
    rewards[-1] = rng.normal(0, 3, candidates) - rewards[:-1].sum(axis=0)
    base = -rng.exponential(5.0, candidates)

    assert_honest(log_of(Numbers(base, base - rng.exponential(1.0, candidates), rewards / bidders, 1.0)))


@settings(max_examples=60, deadline=None)
@given(auctions(tau_exponents=(0.0, 6.0), **WIDE))
def test_the_audits_decimals_agree_with_the_tests_own(auction: Numbers) -> None:
    log = log_of(auction)
    read = read_scored(log.scored, "")
    rows = [list(party.rewards[0]) for party in read.parties]
    exact = Exact(read)

    expected = solve_exactly(read.log_q, read.log_ref, rows, read.tau)

    for place, charge in enumerate(expected.charges):
        got = exact.charge(place)
        with localcontext(DIGITS):
            assert abs(got - charge) <= Decimal("1e-20") * Decimal(read.tau + LARGEST)


@settings(max_examples=60, deadline=None)
@given(auctions(tau_exponents=(0.0, 5.0), nats_exponents=(-3.0, 1.5), **WIDE), st.data())
def test_a_micro_off_is_always_found(auction: Numbers, data: st.DataObject) -> None:
    """Also two; except from the knife's edge, where two neighbours are right."""
    log = log_of(auction)
    place = data.draw(st.integers(0, len(log.bills) - 1))
    off = data.draw(st.sampled_from([-2, -1, 1, 2]))
    charge = log.bills[place].charge_micros + off
    read = read_scored(log.scored, "")
    exact = solve(read)
    assume(charge >= 0 and abs(charge - exact.charges[place]) > 0.5 + 1e-5)
    assume(exact.bounds[place] < 1e-6)

    assert "wrong_charge" in kinds(log.change_bill(place, charge_micros=charge))


def test_charges_are_exact_at_the_largest_numbers_an_event_can_hold() -> None:
    for candidates, advertisers in ((256, 2), (20, 64), (1, 3), (2, 1)):
        assert kinds(make_log(9, candidates=candidates, advertisers=advertisers)) == []


def knife_edge(target: Decimal) -> tuple[Log, Decimal]:
    """An auction of two candidates whose charge is `target` micros, as nearly as a reward in float64 allows."""

    def log(reward: float) -> Log:
        candidates = [make_candidate(0, log_q=-1.0), make_candidate(1, log_q=-1.0)]
        rewards = {"advertiser-00": (0.0, reward)}
        changes: dict[str, Any] = {"log_ref": (-1.0, -1.0), "rewards_micros": rewards}
        return make_log(1, candidates=candidates, advertisers=1, **changes)

    def exactly(reward: float) -> Decimal:
        exact = Exact(read_scored(log(reward).scored, ""))
        return exact.charge(0)

    low, high = 0.0, 2_000.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if exactly(middle) < target else (low, middle)
    return log(high), exactly(high)


@pytest.mark.parametrize("shift", ["-1e-7", "-1e-9", "0", "1e-9", "1e-7"])
def test_at_half_a_micro_both_neighbouring_charges_are_right(shift: str) -> None:
    log, exact = knife_edge(Decimal("30.5") + Decimal(shift))
    assert abs(exact - Decimal("30.5")) <= Decimal("1.1e-7")

    verdicts = {micros: kinds(log.change_bill(0, charge_micros=micros)) for micros in (29, 30, 31, 32)}

    assert verdicts == {29: ["wrong_charge"], 30: [], 31: [], 32: ["wrong_charge"]}


def amount(value: str, bound: float, allowance: float = 0.0) -> Amount:
    return Amount(float(value), bound, allowance, lambda: Decimal(value))


def test_decimals_decide_only_where_the_float_bound_cannot() -> None:
    clear, doubt = check_charge(30, amount("30.3", 1e-9)), check_charge(30, amount("30.500001", 1e-9))
    assert (clear.correctness, clear.by_decimal) == (Correctness.RIGHT, False)
    assert (doubt.correctness, doubt.by_decimal) == (Correctness.RIGHT, True)

    off = check_charge(30, amount("30.5000011", 1e-9))
    assert (off.correctness, off.by_decimal) == (Correctness.WRONG, False)
    assert check_charge(30, amount("30.5000011", 1e-6)).by_decimal
    assert check_charge(30, amount("30.5000011", 1e-6)).correctness is Correctness.WRONG
    assert check_charge(30, amount("30.5000011", 1e-6, 2e-6)).correctness is Correctness.IMPRECISE


def test_the_float_filter_decides_nearly_every_charge() -> None:
    logs = [make_log(seed, candidates=8, advertisers=3) for seed in range(200)]

    assert audited(*logs).notes["by_decimal"] == 0


def groups(*link_groups: str | None) -> Sequence[Bidder]:
    return [make_bidder(index, link_group=group) for index, group in enumerate(link_groups)]


def test_parties_are_in_the_order_of_their_first_members() -> None:
    log = make_log(1, advertisers=groups("b", None, "a", "b", "a"))

    assert_honest(log)
    parties = read_scored(log.scored, "").parties

    assert [party.members for party in parties] == [(0, 3), (1,), (2, 4)]
    assert all(first.payer < second.payer for first, second in pairwise(parties))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([None, "a", "b"]), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_the_audit_confirms_link_groups_as_settlement_bills_them(link_groups: list[str | None], seed: int) -> None:
    assert_honest(make_log(seed, candidates=5, advertisers=groups(*link_groups)))
