"""Checks of a settled event against the auction it settles: outcome, odds, weights, choice, sponsors, disclosure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from operator import mul, sub

from schemas.draw import query_parts
from schemas.reply import Draw, ReplySettled
from workers.audit.auction import LoggedAuction, LoggedBidder
from workers.audit.charges import raw_error
from workers.audit.draws import picked, weights_of
from workers.audit.findings import Check, Finding, Kind, Tally
from workers.audit.recompute import Solved

ODDS = 1e-12  # of the whole; 2**62 times that for a weight
COARSE_ODDS = 1e-6  # float64 cannot settle the odds of such an auction


@dataclass
class ReplyCheck:
    """One settled event."""

    tally: Tally
    auction: LoggedAuction
    settled: ReplySettled

    def report(self, kind: Kind, what: str, logged: object, right: object, advertiser_id: str | None = None) -> None:
        auction = self.auction
        shown = _short(logged), _short(right)
        self.tally.find(Finding(kind, auction.query_id, auction.auction_id, what, *shown, advertiser_id))

    def fields(self) -> None:
        """What is copied from the scored event, and the outcome."""
        auction, settled = self.auction, self.settled
        self.tally.checked[Check.REPLIES] += 1
        for name, logged, right in (
            ("query_id", settled.query_id, auction.query_id),
            ("submitted_at", settled.submitted_at, auction.submitted_at),
            ("received_at", settled.received_at, auction.received_at if settled.received_at else None),
            ("language", settled.language, auction.language),
            ("category", settled.category, auction.category),
            ("currency", settled.currency, auction.currency),
        ):
            if logged != right:
                self.report(Kind.WRONG_FIELD, name, logged, right)
        self._outcome()
        self._abstentions()

    def _outcome(self) -> None:
        settled, void = self.settled, self.auction.void_reason
        outcome = "void" if void is not None else "sold" if self.auction.parties else "no_advertisers"
        logged = settled.outcome, settled.void_reason, settled.sponsored
        if logged != (right := (outcome, void, outcome == "sold")):
            self.report(Kind.WRONG_OUTCOME, "outcome, reason, sponsored", logged, right)

    def _abstentions(self) -> None:
        """Those of the scored event."""
        right = [(one.advertiser_id, int(one.reason)) for one in self.auction.abstentions]
        logged = [(one.advertiser_id, int(one.reason)) for one in self.settled.abstentions]
        if logged != right:
            self.report(Kind.WRONG_ABSTENTIONS, "abstentions", logged, right)

    def unsold(self) -> None:
        """No auction: the fallback, and nothing of a draw."""
        settled = self.settled
        if settled.reply != self.auction.fallback:
            self.report(Kind.WRONG_REPLY, "the reply", settled.reply, self.auction.fallback)
        drawn = settled.chosen_index, settled.draw, settled.weights, settled.probabilities
        if drawn != (None, None, (), ()) or settled.effective_sample_size:
            self.report(Kind.WRONG_OUTCOME, "chosen, draw, weights, odds", drawn, "none of them")
        if settled.sponsors:
            self.report(Kind.WRONG_SPONSORS, "sponsors", _ids(settled), "none")

    def allocation(self, solved: Solved) -> None:
        """π, weights and effective sample size."""
        settled, tolerance = self.settled, self.tolerance(solved)
        if tolerance > COARSE_ODDS:
            self.tally.unverifiable[Check.ALLOCATION] += 1
        else:
            self.tally.checked[Check.ALLOCATION] += 1
            off = max(map(abs, map(sub, settled.probabilities, solved.probabilities)))
            if off > tolerance:
                self.report(Kind.WRONG_PROBABILITIES, "probabilities", settled.probabilities, solved.probabilities)
        if settled.weights != (right := weights_of(settled.probabilities)):
            self.report(Kind.WRONG_WEIGHTS, "weights", settled.weights, right)
        squares = fsum(map(mul, settled.probabilities, settled.probabilities))
        size = 1.0 / squares if squares else 0.0
        if abs(settled.effective_sample_size - size) > 1e-9 * size:
            self.report(Kind.WRONG_SAMPLE_SIZE, "effective sample size", settled.effective_sample_size, size)

    def drawn(self) -> tuple[Draw, int] | None:
        """The draw and the candidate it chose; None, and a finding, where the reply has no draw over the candidates."""
        settled, count = self.settled, len(self.auction.texts)
        chosen, sizes = settled.chosen_index, {len(settled.weights), len(settled.probabilities)}
        if settled.draw is not None and chosen is not None and chosen < count and sizes == {count}:
            return settled.draw, chosen
        what = f"a draw over {count} candidates"
        self.report(Kind.WRONG_OUTCOME, what, f"candidate {chosen} of {sizes}", "one weight and odds for each")
        return None

    def choice(self, draw: Draw, chosen: int) -> None:
        """The candidate that weights and u pick, and its text."""
        settled, right = self.settled, picked(self.settled.weights, draw.u)
        if chosen != right:
            self.report(Kind.WRONG_CHOICE, "chosen candidate", chosen, right)
        if settled.reply != self.auction.texts[chosen]:
            self.report(Kind.WRONG_REPLY, "the reply", settled.reply, self.auction.texts[chosen])
        if draw.epoch != self.auction.epoch:
            self.report(Kind.WRONG_EPOCH, "epoch of the draw", draw.epoch, self.auction.epoch)
        self._drawn_from(draw)

    def _drawn_from(self, draw: Draw) -> None:
        """The record of the query, where the scored event names one."""
        wanted = "draw-v2" if self.auction.query else "draw-v1"
        if draw.algorithm != wanted:
            self.report(Kind.OLD_DRAW, "algorithm of the draw", draw.algorithm, wanted)
        elif (logged := query_parts(draw.query_record)) != self.auction.query:
            self.report(Kind.WRONG_U, "the query's record drawn from", logged, self.auction.query)

    def evidence(self) -> None:
        self.tally.checked[Check.EVIDENCE] += 1
        draw = self.settled.draw
        if draw is not None and draw.scored_sha256 != self.auction.digest:
            what = "the scored event drawn from"
            self.report(Kind.OTHER_SCORED_EVENT, what, draw.scored_sha256, self.auction.digest)

    def sponsors(self, solved: Solved, members: Sequence[tuple[int, LoggedBidder]], chosen: int) -> None:
        """Who is named, with which odds, and what the reader is told. `members`: place of the party, bidder."""
        self.tally.checked[Check.DISCLOSURE] += 1
        settled, tolerance = self.settled, self.tolerance(solved)
        right = [(bidder.advertiser_id, bidder.name) for _, bidder in members]
        logged = [(one.advertiser_id, one.name) for one in settled.sponsors]
        if logged != right:
            self.report(Kind.WRONG_SPONSORS, "sponsors", logged, right)
            return
        for sponsor, (place, bidder) in zip(settled.sponsors, members, strict=True):
            odds = solved.probabilities[chosen], solved.odds_without(place, chosen)
            claimed = sponsor.probability_with, sponsor.probability_without
            if max(map(abs, map(sub, claimed, odds))) > tolerance:
                self.report(Kind.WRONG_ODDS, "odds with and without", claimed, odds, bidder.advertiser_id)
            named = f"“{bidder.name}”" if self.auction.query else bidder.name  # quoted since queries' records are named
            if any(text not in settled.disclosure for text in (named, *(f"{p:.2%}" for p in claimed))):
                self.report(Kind.WRONG_DISCLOSURE, "the disclosure", settled.disclosure, claimed, bidder.advertiser_id)

    def tolerance(self, solved: Solved) -> float:
        """How far odds may be off: 1e-12, and what float64 cannot help (both sides round)."""
        grouped = 2 * raw_error(self.auction) if self.auction.has_groups else 0.0
        return ODDS + 2 * (solved.odds_bound + grouped)


def _ids(settled: ReplySettled) -> list[str]:
    return [sponsor.advertiser_id for sponsor in settled.sponsors]


def _short(value: object) -> str:
    """At most 200 characters; numbers with all their digits."""
    text = str(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
