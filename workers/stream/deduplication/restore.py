"""Bringing a store up to the end of its changelog: from its checkpoint if it can be trusted, else from the window."""

import logging
import re
import time
from binascii import unhexlify
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from aiokafka import TopicPartition

from schemas.payload import BadRecord
from schemas.topics import Topic
from workers.errors import Unsuitable
from workers.stream.connection.admin_client import EARLIEST, LATEST
from workers.stream.connection.clients import Clients
from workers.stream.deduplication.changelog import Changelog, Entry
from workers.stream.deduplication.store import Anchor, Checkpoint, Row, Store, packed
from workers.stream.deduplication.window import DAY, Window
from workers.stream.operator_lines import ID_DELETED, STORE_WITHOUT_ITS_RECORD
from workers.stream.wire.partitioner import Placement

log = logging.getLogger(__name__)

LONGEST_S = 86_400.0  # for all of a restore; silence ends it much earlier
MILLISECONDS = 1_000
NO_AUCTION = "0" * 64  # of an id that somebody deleted: it was used, by whatever auction

#: A value as `QuerySettled.encode` writes it, checked as that model checks it. Anything else goes the long way.
_OURS = re.compile(
    rb'\{"query_id":"([A-Za-z0-9][A-Za-z0-9._:-]{0,63})","auction_id":"([0-9a-f]{64})","settled_sha256":"[0-9a-f]{64}"'
    rb'(?:,"scored_sha256":(?:null|"([0-9a-f]{64})"))?\}'
)


async def _nothing() -> None: ...


class Restore:
    """Of one partition of `topic`, into `store`. BrokerError: the changelog cannot be read to its end, brings nothing
    for long, holds what is none of the topic's events, or (Misplaced) an id of another partition. Unsuitable: Kafka
    deletes ids so early that every query would be refused.
    """

    def __init__(self, topic: Topic, number: int, placement: Placement, store: Store, window: Window) -> None:
        self.store, self.placement = store, placement
        self.records_read = 0
        self._topic, self._window = topic, window
        self._place = TopicPartition(topic.name, number)

    async def run(self, clients: Clients, before_emptying: Callable[[], Awaitable[None]] = _nothing) -> None:
        """Everything that is committed by now is in the store. `before_emptying` may refuse to read the window anew."""
        async with clients.cluster(LONGEST_S) as cluster:
            changelog = Changelog(cluster, self._place)
            begin, end = await changelog.edge(EARLIEST), await changelog.edge(LATEST)
            anchor = self.store.checkpoint.anchor
            if anchor is None or not await self._follow(changelog, anchor, begin, end):
                await before_emptying()
                if anchor is not None:
                    STORE_WITHOUT_ITS_RECORD.tell(log, **self._place._asdict(), offset=anchor.offset)
                await self._read_window(changelog, clients, begin, end)

    async def _follow(self, changelog: Changelog, anchor: Anchor, begin: int, end: int) -> bool:
        """Read the tail. False, and nothing is read: the log does not have the store's last record in its place."""
        is_known = False
        if begin <= anchor.offset < end:
            async for records in changelog.records(anchor.offset, end):
                if not is_known and not (records and _anchor(records[0]) == anchor):
                    break
                self._take(records if is_known else records[1:])
                is_known = True
        return is_known

    async def _read_window(self, changelog: Changelog, clients: Clients, begin: int, end: int) -> None:
        """Read what the window needs, or what is left of it, into an empty store."""
        self.store.clear()
        now_ms = self._now_ms()
        since_ms = now_ms - self._window.kept_ms
        first_since = await changelog.edge(since_ms)
        start = max(begin, end if first_since == -1 else first_since)
        kept_ms = await changelog.kept_ms() if start == begin else None
        if kept_ms is not None:
            self._check_kept(kept_ms, clients)
            since_ms = max(since_ms, now_ms - kept_ms)
        elif start == 0:
            since_ms = 0  # all that ever was
        self.store.put((), Checkpoint(horizon_ms=since_ms))
        async for records in changelog.records(start, end):
            if start == begin and records:
                since_ms = max(since_ms, self._deleted_ms(records, begin, kept_ms))
            self._take(records, since_ms)

    def _check_kept(self, kept_ms: int, clients: Clients) -> None:
        """Unsuitable: ids may be forgotten while queries that old are still to be settled."""
        if kept_ms < self._window.least_kept_ms:
            name, length, kept = self._topic.name, self._window.length, timedelta(milliseconds=kept_ms)
            raise Unsuitable(
                f"Kafka deletes settled ids from {name} after {kept / DAY:g} days (retention.ms), and queries are "
                f"settled for {length / DAY:g} days (TESSERA_ID_WINDOW_DAYS): any of them may have been settled and "
                f"forgotten, so none is. {clients.alter_topic(name, 'retention.ms', self._window.kept_ms)} keeps ids "
                f"for as long as the window needs. What was deleted stays unknown: scored events more than "
                f"{kept / DAY:g} days old must not be read again then. A shorter window is the other way"
            )

    def _deleted_ms(self, records: Sequence[Entry], begin: int, kept_ms: int | None) -> int:
        """Until when, by the broker's clock, Kafka may have deleted what was before these records.

        Where only age deletes, not until the first of them: behind a pause in the traffic that would be a moment ago,
        and every query would be taken for one that may have been settled before. It holds for a topic that begins at
        offset 0, too: it may be a copy, of what another one had not deleted by then.
        """
        if kept_ms is not None:
            return records[-1].timestamp - kept_ms
        return records[0].timestamp if begin > 0 and self.store.checkpoint.anchor is None else 0

    def _take(self, records: Sequence[Entry], horizon_ms: int = 0) -> None:
        if not records:
            return
        self.records_read += len(records)
        at, newest_ms = self.store.checkpoint, max(self.store.checkpoint.newest_ms, records[-1].timestamp)
        oldest_ms = at.oldest_ms or records[0].timestamp
        # of the broker's clock and ours the one that is behind decides: a wrong one may keep too much, never too little
        forgotten_ms = self._window.forgotten_ms(min(newest_ms, self._now_ms()))
        if forgotten_ms > oldest_ms:
            horizon_ms, oldest_ms = max(horizon_ms, forgotten_ms), forgotten_ms
        checkpoint = Checkpoint(_anchor(records[-1]), max(at.horizon_ms, horizon_ms), oldest_ms, newest_ms)
        self.store.put(list(self._rows(records)), checkpoint)

    @staticmethod
    def _now_ms() -> int:
        return int(time.time() * MILLISECONDS)

    def _rows(self, records: Sequence[Entry]) -> Iterator[Row]:
        self._check_places(records)
        for record in records:
            ours = _OURS.fullmatch(record.value or b"")
            if ours and ours[1] == record.key:
                yield ours[1], record.timestamp, unhexlify(ours[2] + (ours[3] or b""))
            elif record.value is None and record.key:
                yield self._still_used(record.key, record)
            else:
                data = decoded(self._topic, self._place.partition, record)
                value = packed(data.auction_id, data.scored_sha256)
                yield data.query_id.encode(), record.timestamp, value

    def _still_used(self, key: bytes, record: Entry) -> Row:
        """A tombstone is not ours: somebody deleted an id. That it was used is known from its key."""
        ID_DELETED.tell(log, **self._place._asdict(), offset=record.offset)
        return key, record.timestamp, packed(NO_AUCTION, None)

    def _check_places(self, records: Sequence[Entry]) -> None:
        keys = [record.key for record in records if record.key is not None]
        if not self.placement.are_right(keys, self._place.partition):
            for record in records:
                self.placement.check(record.key, self._place.partition, record.offset)


def decoded(topic: Topic, partition: int, record: Any) -> Any:
    """The event in a record of the changelog. Unsuitable: it is none of the topic's."""
    try:
        return topic.payload.decode(record.value)
    except BadRecord as error:
        raise Unsuitable(
            f"{topic.name} partition {partition} offset {record.offset}: {error.reason.name}: {error}. Somebody else "
            "wrote it: without this topic nobody knows which queries have been settled, so settlement does not start. "
            "Find out who (`tessera principals show` lists who may); then copy the topic's other records into one that "
            "is created anew"
        ) from None


def _anchor(record: Entry) -> Anchor:
    return Anchor(record.offset, record.timestamp, record.key or b"")
