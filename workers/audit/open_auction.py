"""One auction of a log while it is put together, and what is remembered of it when it is closed."""

import json
from dataclasses import dataclass, field

from schemas.billing import AdvertiserCharged
from schemas.reply import ReplySettled
from workers.audit.auction import LoggedAuction
from workers.audit.entries import RefusedEvent
from workers.audit.examination import LoggedReply


@dataclass(slots=True)
class OpenAuction:
    """What is known of an auction so far. Scored more than once, it has several events; a reply is made from one."""

    events: dict[str, LoggedAuction] = field(default_factory=dict)  # by digest: scored, not refused, in the log's order
    scored: int = 0  # scored events that were read
    reply: LoggedReply | None = None
    refused: set[str] = field(default_factory=set)  # digests of scored events that are dead letters
    why_refused: str = ""  # of the last of them
    letters: set[RefusedEvent] = field(default_factory=set)
    bills: dict[str, AdvertiserCharged] = field(default_factory=dict)  # by charge id
    newest: int = 0

    @property
    def complete(self) -> bool:
        if self.reply is None:
            return self.only_refused and self.scored > 0
        return self.settled_from is not None and self.bills.keys() >= {*self.reply.settled.charge_ids}

    @property
    def only_refused(self) -> bool:
        """Whether all that is known of its scored events is that they were refused."""
        return bool(self.refused) and not self.events

    @property
    def settled_from(self) -> LoggedAuction | None:
        """The scored event that the reply names. One without a draw names none: the first that was not refused."""
        if self.reply is not None and (named := _named(self.reply.settled)) is not None:
            return self.events.get(named)
        return next(iter(self.events.values()), None)

    def add(self, auction: LoggedAuction) -> None:
        """A scored event; of one that was refused nothing else need be kept."""
        self.scored += 1
        if auction.digest not in self.refused:
            self.events.setdefault(auction.digest, auction)

    def refuse(self, letter: RefusedEvent) -> None:
        """The dead letter of a scored event."""
        self.refused.add(letter.sha256)
        self.letters.add(letter)
        self.why_refused = letter.reason
        self.events.pop(letter.sha256, None)

    def redrive(self, digest: str) -> None:
        """The scored event was sent through again: its dead letter is not its outcome."""
        self.refused.discard(digest)

    def has_reply_from(self, digest: str) -> bool:
        """Whether the reply was made from this scored event."""
        event = self.settled_from
        return self.reply is not None and event is not None and event.digest == digest

    def has_ended(self, digest: str) -> bool:
        """Whether this scored event has its outcome: a dead letter, or the reply."""
        return digest in self.refused or self.has_reply_from(digest)

    def was_refused(self, settled: ReplySettled) -> bool:
        """Whether a reply is one to a scored event that is a dead letter."""
        named = _named(settled)
        return self.only_refused if named is None else named in self.refused

    def closed(self) -> "ClosedAuction":
        event = self.settled_from
        ended = self.refused | ({event.digest} if event else set())
        return ClosedAuction(frozenset(self.bills), ended, self.reply is not None, self.why_refused, self.letters)


@dataclass(slots=True)
class ClosedAuction:
    """What tells whether more of an auction is a second outcome: its bills, and scored events with an outcome."""

    charge_ids: frozenset[str]
    ended: set[str]  # digests
    replied: bool
    why_refused: str
    letters: set[RefusedEvent]

    def to_text(self) -> str:
        """For the disk."""
        letters = sorted((letter.place, letter.sha256, letter.reason) for letter in self.letters)
        return json.dumps([sorted(self.charge_ids), sorted(self.ended), self.replied, self.why_refused, letters])

    @classmethod
    def from_text(cls, text: str) -> "ClosedAuction":
        """What `to_text` has written."""
        charge_ids, ended, replied, why_refused, letters = json.loads(text)
        return cls(frozenset(charge_ids), {*ended}, replied, why_refused, {RefusedEvent(*one) for one in letters})

    def has_ended(self, digest: str) -> bool:
        return digest in self.ended

    def has_reply_from(self, digest: str) -> bool:
        """Whether the auction has a reply; from which scored event is not kept."""
        return self.replied and digest in self.ended

    def refuse(self, letter: RefusedEvent) -> None:
        """The dead letter of one more scored event."""
        self.ended.add(letter.sha256)
        self.letters.add(letter)

    def reopened(self) -> OpenAuction:
        """The auction, where it ended in a dead letter that is sent through again."""
        return OpenAuction(scored=1, refused=self.ended, why_refused=self.why_refused, letters=self.letters)


def _named(settled: ReplySettled) -> str | None:
    """The digest of the scored event that a reply was drawn from."""
    return settled.draw.scored_sha256 if settled.draw else None
