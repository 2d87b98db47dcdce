"""Incentives: in a sample of auctions, search for a misreport that would have gained, and publish the best found.

It reads what settlement reads, beside it and in a group of its own: a replay finds the same, and the auction's reply
never waits for it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.incentive import Gap, IncentiveMeasured
from workers.bids import bids, numbers
from workers.held import is_held
from workers.truthfulness.misreports import Misreport, find_misreport
from workers.truthfulness.rule import Rule, as_billed

SOURCE = "incentives"
REPORTS_PER_PARTY = 160
MOST_PARTIES = 4  # of one auction; which ones is drawn
DIGITS = 16  # hexadecimal, of the auction id, that decide whether it is in the sample


@dataclass(frozen=True, slots=True)
class Incentives:
    """CandidatesScored -> IncentiveMeasured, for a share `sample` of the auctions that are held."""

    sample: float

    async def handle(self, event: Event[CandidatesScored]) -> Sequence[Event[IncentiveMeasured]]:
        if not _is_sampled(event.data.auction_id, self.sample) or not is_held(event):
            return ()
        measured = await asyncio.to_thread(measure, event)
        return (event.follow(measured, source=SOURCE, auction_id=measured.auction_id, time=event.time),)


def measure(event: Event[CandidatesScored], rule: Rule = as_billed) -> IncentiveMeasured:
    """The best misreports on the logged numbers under a rule; which are tried follows from the auction's id."""
    scored = event.data
    bidders, grouped = bids(scored)
    logged, rng = numbers(scored, grouped), np.random.default_rng(int(scored.auction_id, 16))
    chosen = sorted(rng.permutation(len(grouped.members))[:MOST_PARTIES].tolist())
    names = [bidders[grouped.members[party][0]].advertiser_id for party in chosen]
    found = [find_misreport(logged, party, rule, rng, REPORTS_PER_PARTY) for party in chosen]
    gaps = tuple(_gap(name, lie) for name, lie in zip(names, found, strict=True))
    return IncentiveMeasured(
        query_id=scored.query_id,
        auction_id=scored.auction_id,
        scored_sha256=event.digest,
        submitted_at=scored.submitted_at,
        payment_rule=scored.payment_rule,
        currency=scored.currency,
        lies_tried=REPORTS_PER_PARTY,
        gaps=gaps,
        largest_gap_micros=max(gap.gap_micros for gap in gaps),
    )


def _gap(advertiser_id: str, found: Misreport) -> Gap:
    return Gap(
        advertiser_id=advertiser_id,
        gap_micros=found.gain_micros,
        gap_billed_micros=found.gain_whole_micros,
        lie=found.kind,
    )


def _is_sampled(auction_id: str, share: float) -> bool:
    """The same auctions on every replay, whoever asks."""
    return int(auction_id[:DIGITS], 16) < int(share * 16**DIGITS)
