"""The events of one query, put together in any order: for its end (`ask`, `demo`) and its receipt (`explain`)."""

from dataclasses import dataclass, field
from typing import Any

from schemas.auction import CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.envelope import Event
from schemas.payload import Payload
from schemas.reply import ReplySettled
from workers.errors import ReceiptError


@dataclass
class QueryEvents:
    """What is known of one query. `where` names the log in messages."""

    query_id: str
    where: str
    scored: dict[str, Event[CandidatesScored]] = field(default_factory=dict)  # by digest: an auction may come again
    settled: Event[ReplySettled] | None = None
    bills: dict[str, Event[AdvertiserCharged]] = field(default_factory=dict)  # by charge id

    def add(self, event: Event[Payload]) -> None:
        """Take in an event of this query; other kinds are passed over. ReceiptError: another one in its place."""
        data = event.data
        if isinstance(data, CandidatesScored):
            self.scored.setdefault(event.digest, event)  # type: ignore[arg-type]  # narrowed by its data
        elif isinstance(data, ReplySettled):
            self.settled = self._only(self.settled, event)
        elif isinstance(data, AdvertiserCharged):
            self.bills[data.charge_id] = self._only(self.bills.get(data.charge_id), event)

    @property
    def missing_bills(self) -> list[str]:
        """The ids of charges that the reply names and that are not there."""
        named = self.settled.data.charge_ids if self.settled else ()
        return [charge_id for charge_id in named if charge_id not in self.bills]

    @property
    def charges(self) -> tuple[Event[AdvertiserCharged], ...]:
        """The bills that the reply names, in its order, once none is missing."""
        return tuple(self.bills[charge_id] for charge_id in self.settled.data.charge_ids) if self.settled else ()

    @property
    def is_complete(self) -> bool:
        """Whether the reply and every bill that it names are there."""
        return self.settled is not None and not self.missing_bills

    @property
    def settled_from(self) -> Event[CandidatesScored] | None:
        """The scored event that the reply names, or else the first of its auction."""
        if self.settled is None:
            return None
        reply = self.settled.data
        events = [event for event in self.scored.values() if event.data.auction_id == reply.auction_id]
        named = reply.draw.scored_sha256 if reply.draw else None
        return next((event for event in events if event.digest == named), next(iter(events), None))

    def _only(self, known: Event[Any] | None, event: Event[Any]) -> Event[Any]:
        """The one that is known, or this one. ReceiptError: they are not the same."""
        if known is not None and known.value != event.value:
            raise ReceiptError(
                f"{self.where} has two different {event.type} events of {self.query_id}; it does not say which of them "
                "counts, so neither is used. `tessera audit` names what is wrong with them"
            )
        return known or event
