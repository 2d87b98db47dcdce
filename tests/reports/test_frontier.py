"""The frontier of τ: by hand on one auction, against what-if, and the warning on a log whose τ is on the steep part."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.lines import to_line
from tests.support.builders import TAU_MICROS_PER_NAT, make_scored
from tests.support.worker_process import tessera
from workers.reports.frontier import FACTORS, Frontier, calm_from, frontier_report, frontiers, is_steep
from workers.reports.what_if import OtherTerms, TermsSums, WhatIf

AUCTIONS = [make_scored(seed, candidates=6, advertisers=3) for seed in range(4)]


def frontier_of(events: list[Event[CandidatesScored]]) -> Frontier:
    report = frontier_report()
    for event in events:
        report.add(event)
    return frontiers(report)["USD"]


def with_divergences(*nats: float) -> Frontier:
    """One auction at each factor, with these KL."""
    pairs = zip(FACTORS, nats, strict=True)
    return {one: TermsSums(OtherTerms(tau_factor=one), auctions=1, influence_nats=kl) for one, kl in pairs}


def test_at_each_factor_it_is_what_if_at_that_tau() -> None:
    found = frontier_of(AUCTIONS)
    tau = AUCTIONS[0].data.tau_micros_per_nat
    report = WhatIf([OtherTerms(tau_micros_per_nat=2 * tau)])
    for event in AUCTIONS:
        report.add(event)

    twice = report.currencies["USD"][1]
    assert list(found) == list(FACTORS)
    assert found[2.0].revenue_micros == twice.revenue_micros > 0
    assert found[2.0].influence_nats == twice.influence_nats


def test_welfare_is_largest_at_the_tau_that_replies_were_drawn_with() -> None:
    found = frontier_of(AUCTIONS)

    assert max(found, key=lambda factor: found[factor].welfare_micros) == 1.0
    held = found[1.0]
    spent = AUCTIONS[0].data.tau_micros_per_nat * held.influence_nats
    assert held.welfare_micros == pytest.approx(held.reward_micros - spent)


def test_the_probability_of_naming_is_that_of_the_candidates_that_have_the_name_of_a_bidder() -> None:
    # Given six candidates, of which the second and the last name a bidder
    event = AUCTIONS[0]
    bidder = event.data.advertisers[0].name
    texts = ["tea", f"try {bidder.upper()}!", "a", "b", f"{bidder}ish", f"“{bidder}”"]
    candidates = [one.model_copy(update={"text": text}) for one, text in zip(event.data.candidates, texts, strict=True)]
    changed = event.data.model_copy(update={"candidates": tuple(candidates)})
    # When bids count for almost nothing
    tau = 10**12
    report = WhatIf([OtherTerms(tau_micros_per_nat=tau)])
    report.add(replace(event, data=changed))
    # Then it is their share of the weights π_ref/q
    weights = [math.exp(ref - one.log_q) for ref, one in zip(changed.log_ref, candidates, strict=True)]
    expected = (weights[1] + weights[5]) / sum(weights)
    assert report.currencies["USD"][1].naming == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("nats", "steep", "calm"),
    [
        ((50.0, 48.6, 45.0, 21.4, 0.85, 0.28, 0.06, 0.02), True, 4.0),  # the cliff is here
        ((48.6, 45.0, 21.4, 0.85, 0.28, 0.06, 0.02, 0.01), True, 2.0),  # half the τ is on it
        ((45.0, 21.4, 0.85, 0.28, 0.06, 0.02, 0.01, 0.01), False, 1.0),
        ((0.8, 0.3, 0.1, 0.03, 0.01, 0.0, 0.0, 0.0), False, 0.125),  # falls fast, but there is nothing left to fall
        ((50.0, 49.0, 48.0, 47.0, 46.0, 45.0, 44.0, 20.0), False, None),  # the cliff is beyond
    ],
)
def test_a_tau_is_steep_where_twice_or_half_of_it_makes_other_replies(
    nats: tuple[float, ...], steep: bool, calm: float | None
) -> None:
    found = with_divergences(*nats)

    assert (is_steep(found, 1.0), calm_from(found)) == (steep, calm)


def test_the_command_warns_where_the_tau_of_the_log_is_on_the_steep_part(tmp_path: Path) -> None:
    # Given auctions whose unlikely reply is worth a little more than τ makes it cost, and the same at 64 times that τ
    logs = {"steep": tmp_path / "steep", "calm": tmp_path / "calm"}
    for name, factor in (("steep", 1), ("calm", 64)):
        events = [unlikely_but_wanted(seed, factor * TAU_MICROS_PER_NAT) for seed in range(3)]
        logs[name].write_bytes(b"\n".join(map(to_line, events)) + b"\n")
    # When their frontier is asked for
    told, calm = (tessera("whatif", "--log", str(logs[name]), "--frontier") for name in logs)
    machine = tessera("whatif", "--log", str(logs["steep"]), "--frontier", "--json")
    # Then only the first is warned, with where it would be calm and what that costs
    assert told.returncode == calm.returncode == 0, told.stderr
    assert "is on the steep part" in told.stderr.decode() and "revenue there is" in told.stderr.decode()
    assert b"steep" not in calm.stderr
    assert "as held" in told.stdout.decode() and "÷ 8" in told.stdout.decode()
    assert sorted(json.loads(line)["tau_factor"] for line in machine.stdout.splitlines()) == list(FACTORS)


def unlikely_but_wanted(seed: int, tau: int) -> Event[CandidatesScored]:
    """Two candidates: without bids the second is e²⁰ times less likely, one bid makes up for e²⁵ at τ = 1,000."""
    scored = make_scored(seed, candidates=2, advertisers=2)
    likely, unlikely = (one.log_q for one in scored.data.candidates)
    first, second = scored.data.rewards_micros
    rewards = {first: (0.0, 25.0 * TAU_MICROS_PER_NAT), second: (0.0, 0.0)}
    changes = {"log_ref": (likely, unlikely - 20.0), "rewards_micros": rewards, "tau_micros_per_nat": tau}
    return make_scored(seed, candidates=2, advertisers=2, **changes)


def test_the_frontier_goes_without_other_terms() -> None:
    done = tessera("whatif", "--frontier", "--tau", "500", given=b"")

    assert done.returncode == 2 and b"leave out --tau" in done.stderr
