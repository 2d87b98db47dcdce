"""The live incentive monitor: a sample of auctions, searched for lies that would have paid."""

from dataclasses import replace

import numpy as np
import pytest

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.reasons import VoidReason
from schemas.topics import SCORED
from tests.contracts.test_bus import Journal
from tests.support.builders import make_bidder, make_record, make_scored
from workers.incentives import MOST_PARTIES, Incentives, measure
from workers.mechanism.allocation import Numbers
from workers.pipeline import STAGES
from workers.stage import Stage
from workers.stream.deduplication.deduplicator import Once
from workers.stream.processing import process
from workers.truthfulness.rule import Priced, as_billed

EVERY, NONE = 1.0, 0.0


def floored(numbers: Numbers) -> Priced:
    """The product's rule with a least charge: not truthful (mechanism/README §6)."""
    honest = as_billed(numbers)
    return replace(honest, prices=np.maximum(honest.prices, 500.0), charges=(500,) * len(honest.charges))


async def measured(scored: Event[CandidatesScored], sample: float = EVERY) -> list[Event[object]]:
    return list(await Incentives(sample).handle(scored))  # type: ignore[arg-type]  # any payload will do


@pytest.mark.parametrize("seed", range(12))
async def test_no_misreport_gains_in_an_auction_as_it_is_billed(seed: int) -> None:
    scored = make_scored(seed, candidates=8, advertisers=3)

    (event,) = await Incentives(EVERY).handle(scored)

    assert [gap.advertiser_id for gap in event.data.gaps] == ["advertiser-00", "advertiser-01", "advertiser-02"]
    assert event.data.largest_gap_micros == max(gap.gap_micros for gap in event.data.gaps)
    assert event.data.largest_gap_micros <= 1e-9 * 4_000  # of the money at stake: ± 3 τ and τ
    assert all(gap.gap_billed_micros <= 1.0 for gap in event.data.gaps)


def test_a_rule_that_is_not_strategyproof_shows_a_gap() -> None:
    found = [measure(make_scored(seed, candidates=6), floored).largest_gap_micros for seed in range(12)]

    assert max(found) > 1.0  # micros; the alert's threshold


async def test_an_incentive_check_depends_on_the_logged_numbers_alone_and_repeats() -> None:
    scored = make_scored(3)

    (first,), (again,) = [await Incentives(EVERY).handle(scored) for _ in range(2)]

    assert (first.value, first.id) == (again.value, again.id)
    assert first.data.scored_sha256 == scored.digest
    assert first.subject == first.correlation_id == scored.data.query_id


async def test_at_most_a_fixed_number_of_parties_is_searched() -> None:
    (event,) = await Incentives(EVERY).handle(make_scored(1, candidates=5, advertisers=20))

    assert len({gap.advertiser_id for gap in event.data.gaps}) == MOST_PARTIES


async def test_a_link_group_misreports_as_one_party() -> None:
    bidders = tuple(make_bidder(index, link_group="acme") for index in range(3))

    (event,) = await Incentives(EVERY).handle(make_scored(1, advertisers=bidders))

    assert [gap.advertiser_id for gap in event.data.gaps] == ["advertiser-00"]


async def test_the_sampled_auctions_are_a_fixed_share_and_the_same_on_replay() -> None:
    auctions = [make_scored(seed) for seed in range(200)]

    once, twice = [[bool(await measured(one, 0.2)) for one in auctions] for _ in range(2)]

    assert once == twice
    assert 20 <= sum(once) <= 60  # 40 expected; outside this with a probability below one in a thousand
    assert not any([await measured(one, NONE) for one in auctions[:20]])


async def test_an_auction_that_was_not_held_is_not_searched() -> None:
    assert await measured(make_scored(1, advertisers=0, log_ref=(), rewards_micros={})) == []
    assert await measured(make_scored(1, void_reason=VoidReason.DEADLINE_PASSED)) == []


async def test_an_unreadable_record_is_left_to_settlement_to_refuse() -> None:
    journal = Journal()
    stages = {name: Stage(STAGES[name], Incentives(EVERY), 1) for name in ("incentives", "settlement")}

    results = {
        name: await process(stage, make_record(b"nonsense", SCORED), journal, Once(None))
        for name, stage in stages.items()
    }

    assert (list(results["incentives"].outgoing), results["incentives"].refusal) == ([], None)
    assert len(list(results["settlement"].outgoing)) == 1
