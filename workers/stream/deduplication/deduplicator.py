"""Deduplication: what a stage that remembers has worked on, and what becomes of events that come after it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

from schemas.envelope import Event, timestamp
from schemas.payload import Payload
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.topics import Topic
from workers.errors import Refused
from workers.stream.deduplication.known_auctions import IdStatus, KnownAuctions
from workers.stream.deduplication.store import Store
from workers.stream.deduplication.volatile import VolatileStore
from workers.stream.deduplication.window import Window
from workers.stream.wire.partitioner import Placement

Handle = Callable[[Event[Any]], Awaitable[Sequence[Event[Payload]]]]


class Repeated(Exception):
    """The event's outcome was published before, and stands: nothing is to be published again."""


class ScoredAgain(Refused):
    """The event's auction was settled from another event; that outcome stands."""


class Once:
    """The memory of one input partition, for as long as one owner holds it without a doubt.

    An id is known once an event of the topic `remembers` names it: read from there into the store, or returned by the
    worker, though its transaction may still be open. If that transaction is aborted this memory is thrown away with it,
    and the store stays, as it holds what is committed. Without a topic nothing is remembered and nothing refused.
    `placement`: how ids are spread over partitions, if there are more.
    """

    def __init__(
        self,
        remembers: Topic | None,
        store: Store | None = None,
        window: Window | None = None,
        placement: Placement | None = None,
    ) -> None:
        self._topic, self._window, self._placement = remembers, window, placement
        self._store = VolatileStore() if store is None else store
        self._known = KnownAuctions(self._store)
        self._lines: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def fresh(self) -> int:
        """How many ids are not known to be in the store."""
        return self._known.fresh

    def drop_stored(self) -> None:
        """Hold no longer what the store holds by now."""
        self._known.drop_stored()

    def check_place(self, record: Record) -> None:
        """Refused: the record lies in another partition than its id belongs to. Whether it was settled is known there.

        So do records that waited when partitions were added. Sent again, they go where they belong.
        """
        if self._placement is not None and not self._placement.is_right(record.key, record.partition):
            raise Refused(
                DeadLetterReason.WRONG_PARTITION,
                "its query id belongs to another partition: partitions were added after it was written, or somebody "
                "else placed it. `tessera dlq redrive` writes it to where it belongs",
            )

    async def work(self, event: Event[Any], handle: Handle) -> Sequence[Event[Payload]]:
        """What `handle` makes of the event, if none of its query id came before it.

        Calls must begin in the order of the input: of two events with one id, the second waits for the first, and
        comes after it unless that one was refused. Repeated: this event was worked on. Refused, DUPLICATE_QUERY:
        another auction of its id was, or the same auction (then ScoredAgain) as an event with other bytes. Refused,
        EXPIRED: its query is so old that its id may have been settled and forgotten.
        """
        if self._topic is None:
            return await handle(event)
        line = self._lines.setdefault(event.data.query_id, asyncio.Lock())  # fair: whoever waits first goes on first
        async with line:
            self._refuse_known(event)
            events = await handle(event)
            for published in events:
                if published.type == self._topic.name:
                    self.remember(published.data)
        return events

    def _refuse_known(self, event: Event[Any]) -> None:
        id_, auction_id = event.data.query_id, event.data.auction_id
        match self._known.standing(id_, auction_id, event.digest):
            case IdStatus.NEW:
                self._refuse_forgotten(event)
            case IdStatus.SAME_EVENT:
                raise Repeated
            case IdStatus.SAME_AUCTION:
                raise ScoredAgain(
                    DeadLetterReason.DUPLICATE_QUERY,
                    f"auction {auction_id} of query id {id_} was scored a second time: it is settled, and this event "
                    "has other bytes than the one it was settled from. The reply and bills of that one stand",
                )
            case IdStatus.OTHER_AUCTION:
                raise Refused(
                    DeadLetterReason.DUPLICATE_QUERY,
                    f"query id {id_} was used before, and settled by another auction than {auction_id}: that one's "
                    "reply and bills stand",
                )

    def _refuse_forgotten(self, event: Event[Any]) -> None:
        horizon_ms = self._store.checkpoint.horizon_ms
        if (
            self._window is None
            or not horizon_ms
            or (asked_ms := _asked_ms(event)) >= self._window.oldest_ms(horizon_ms)
        ):
            return
        raise Refused(
            DeadLetterReason.EXPIRED,
            f"query id {event.data.query_id} was asked at {_text(asked_ms)}, and settled ids are known since "
            f"{_text(horizon_ms)}: it may have been settled before, so it is not settled now. Queries are settled for "
            f"{self._window.length.days:g} days (TESSERA_ID_WINDOW_DAYS); ask again under a new id",
        )

    def remember(self, used: Any) -> None:
        """Take in an event of the topic: a query id, its auction, and the event that it was worked out from."""
        self._known.add(used.query_id, used.auction_id, used.scored_sha256)


def _asked_ms(event: Event[Any]) -> int:
    """When the query was asked, at the latest: by the broker's clock, or by generation's, or by what the event says."""
    told = (getattr(event.data, name, None) for name in ("received_at", "submitted_at"))
    times = [next((one for one in told if one is not None), event.time), event.recorded_at]
    return min(int(one.timestamp() * 1_000) for one in times if one is not None)


def _text(ms: int) -> str:
    return timestamp(datetime.fromtimestamp(ms / 1_000, UTC))
