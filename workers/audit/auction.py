"""One auction as its scored event logs it: the parties, their numbers and what a reply and bills are copied from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, TypeAlias

from schemas.auction import Abstention, CandidatesScored
from schemas.draw import query_parts
from schemas.reasons import VoidReason
from workers.audit.terms import AuctionTerms, terms_of

Row: TypeAlias = Sequence[float]


class LoggedBidder(NamedTuple):
    """An advertiser with a row of rewards."""

    advertiser_id: str
    name: str
    least_micros: int
    largest_micros: int
    link_group: str | None


@dataclass(frozen=True, slots=True)
class LoggedParty:
    """Advertisers that bid as one. The first of them, in the order of the event, pays."""

    members: tuple[int, ...]  # places among the bidders
    rewards: tuple[Row, ...]  # [members][M] micros, as logged

    @property
    def payer(self) -> int:
        return self.members[0]


@dataclass(frozen=True, slots=True)
class LoggedAuction:
    """What an audit keeps of a scored event until the auction is complete; token ids and prompts are let go."""

    query_id: str
    auction_id: str
    digest: str
    submitted_at: datetime
    received_at: datetime | None
    language: str | None
    category: str | None
    currency: str
    payment_rule: str
    tau: int
    epoch: str | None
    void_reason: int | None
    terms: AuctionTerms
    scored_at: datetime | None  # when the broker took the scored event, where the log says so
    max_tokens: int
    perhaps_late: bool  # it has a stated deadline, and the log does not say when the broker took the scored event
    abstentions: tuple[Abstention, ...]
    bidders: tuple[LoggedBidder, ...]
    parties: tuple[LoggedParty, ...]  # none where no auction was held
    log_q: Row  # [M] nats
    log_ref: Row  # [M] nats
    texts: tuple[str, ...]  # [M]
    fallback: str
    query: tuple[str, ...]  # where its record stands and its SHA-256; none where the event does not name it

    @property
    def has_groups(self) -> bool:
        """Whether a party has more than one member."""
        return len(self.parties) < len(self.bidders)

    @property
    def day(self) -> str:
        """Of UTC, on which it was scored; the first events say only when their query was sent."""
        return self.epoch or self.submitted_at.date().isoformat()

    def if_late(self) -> "LoggedAuction":
        """The same auction, scored after its deadline: void, if anybody was to be billed."""
        return replace(self, void_reason=int(VoidReason.LATE), parties=()) if self.parties else self


def read_scored(scored: CandidatesScored, digest: str, recorded_at: datetime | None = None) -> LoggedAuction:
    """The auction of a scored event; `digest` is the SHA-256 of its value, `recorded_at` when the broker took it."""
    auction = _read(scored, digest, recorded_at)
    is_late = scored.deadline_stated and recorded_at is not None and scored.deadline < recorded_at
    return auction.if_late() if is_late else auction


def _read(scored: CandidatesScored, digest: str, recorded_at: datetime | None) -> LoggedAuction:
    bidders = _bidders(scored)
    held = scored.void_reason is None
    return LoggedAuction(
        query_id=scored.query_id,
        auction_id=scored.auction_id,
        digest=digest,
        submitted_at=scored.submitted_at,
        received_at=scored.received_at,
        language=scored.question.language,
        category=scored.question.category,
        currency=scored.currency,
        payment_rule=scored.payment_rule,
        tau=scored.tau_micros_per_nat,
        epoch=scored.draw_epoch,
        void_reason=scored.void_reason,
        terms=terms_of(scored),
        scored_at=recorded_at,
        max_tokens=scored.sampling.max_tokens,
        perhaps_late=bool(scored.deadline_stated) and recorded_at is None,
        abstentions=scored.abstentions,
        bidders=bidders,
        parties=tuple(_parties(bidders, scored.rewards_micros)) if held else (),
        log_q=[candidate.log_q for candidate in scored.candidates],
        log_ref=scored.log_ref,
        texts=tuple([candidate.text for candidate in scored.candidates]),
        fallback=scored.fallback.text,
        query=query_parts(scored.query_record),
    )


def _bidders(scored: CandidatesScored) -> tuple[LoggedBidder, ...]:
    return tuple(
        [
            LoggedBidder(one.advertiser_id, one.name, *one.reward_range_micros, one.link_group)
            for one in scored.advertisers
            if one.advertiser_id in scored.rewards_micros
        ]
    )


def _parties(bidders: Sequence[LoggedBidder], rewards: dict[str, tuple[float, ...]]) -> Iterable[LoggedParty]:
    """In the order of their first members."""
    groups: dict[object, list[int]] = {}
    for place, bidder in enumerate(bidders):
        groups.setdefault(place if bidder.link_group is None else bidder.link_group, []).append(place)
    for members in groups.values():
        yield LoggedParty(tuple(members), tuple([rewards[bidders[place].advertiser_id] for place in members]))
