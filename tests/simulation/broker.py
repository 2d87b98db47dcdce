"""The broker: answers aiokafka's own request objects from logs and coordinators; it goes down and comes up, loading."""

import random
from collections.abc import Callable
from types import SimpleNamespace as Answer
from typing import Any

from aiokafka.errors import CoordinatorLoadInProgressError, KafkaError, RecordListTooLargeError
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)
from aiokafka.record.memory_records import MemoryRecords

from tests.simulation.clock import NOBODY, VirtualLoop
from tests.simulation.groups import Group
from tests.simulation.log import Fate, PartitionLog, Stored
from tests.simulation.transactions import Place, TransactionCoordinator

MILLISECONDS = 1_000
OFFSETS = "__consumer_offsets"
MARKER_DELAYS_S = (0.0005, 0.03)
SLOW_MARKER_S = 0.6


class Down(Exception):
    """The broker does not run: no answer."""


class Broker:
    """One node with every partition. `note` counts what happened, by name."""

    def __init__(
        self, loop: VirtualLoop, rng: random.Random, topics: dict[str, int], note: Callable[[str], None]
    ) -> None:
        self._loop, self._rng, self.note = loop, rng, note
        self.logs = {topic: [PartitionLog(topic, number) for number in range(count)] for topic, count in topics.items()}
        self.groups: dict[str, Group] = {}
        self.transactions = TransactionCoordinator(self._write_marker, self.later, note)
        self.is_up, self.incarnation = True, 0
        self.loading: dict[str, float] = {}  # kind of coordinator: when it has loaded
        self.refuses_batch: Callable[[], bool] = lambda: False
        self.slow_markers = 0.0  # the share of markers that take long
        self._waiters: dict[tuple[str, int], list[Callable[[], None]]] = {}
        self._handlers: dict[type, Callable[[Any], Any]] = {
            ProduceRequest: self._produce,
            InitProducerIdRequest: self._initialise,
            AddPartitionsToTxnRequest: self._add_partitions,
            AddOffsetsToTxnRequest: self._add_offsets,
            TxnOffsetCommitRequest: self._offset_commit,
            EndTxnRequest: self._end_transaction,
            OffsetFetchRequest: self._offset_fetch,
            OffsetRequest: self._edges,
            MetadataRequest: self._metadata,
            FindCoordinatorRequest: lambda _: Answer(error_code=0, coordinator_id=0),
        }

    # Running

    def handle(self, request: Any) -> Any:
        """The answer to one of aiokafka's requests. Down: there is none."""
        self.check_up()
        return self._handlers[type(request)](request)

    def check_up(self) -> None:
        if not self.is_up:
            raise Down

    def later(self, delay_s: float | None, callback: Callable[..., None], *args: Any) -> Any:
        """Call in a while (None: as long as a marker takes), or when the broker is up again and has loaded."""
        if delay_s is None:
            delay_s = self._rng.uniform(*MARKER_DELAYS_S)
            if self._rng.random() < self.slow_markers:
                delay_s += self._rng.uniform(0, SLOW_MARKER_S)
                self.note("slow marker")
        return self._loop.call_later(delay_s, self._when_up, callback, args, context=NOBODY)

    def _when_up(self, callback: Callable[..., None], args: tuple[Any, ...]) -> None:
        if self.is_up and not self._is_loading("group") and not self._is_loading("transaction"):
            callback(*args)
        else:
            self._loop.call_later(self._rng.uniform(0.01, 0.2), self._when_up, callback, args, context=NOBODY)

    def stop(self) -> None:
        self.is_up = False
        self.incarnation += 1
        self.note("broker restart")
        self._wake_all()

    def start(self) -> None:
        self.is_up = True
        now_s = self._loop.time()
        self.loading = {kind: now_s + self._rng.uniform(0, 0.8) for kind in ("group", "transaction")}
        for group in self.groups.values():
            group.grace()

    def _is_loading(self, kind: str) -> bool:
        return self.loading.get(kind, 0.0) > self._loop.time()

    def _loading_code(self, kind: str) -> int:
        if self._is_loading(kind):
            self.note(f"{kind} coordinator loading")
            return int(CoordinatorLoadInProgressError.errno)
        return 0

    # Reading

    def fetch(self, place: tuple[str, int], position: int, limit: int) -> tuple[list[Stored], int, int] | None:
        """Committed records from `position`, the next position, the last stable offset; None: nothing yet."""
        self.check_up()
        log = self.logs[place[0]][place[1]]
        found: list[Stored] = []
        at = position
        for entry in log.entries[position : log.stable]:
            at = entry.offset + 1
            if entry.is_visible:
                found.append(entry)
                if len(found) == limit:
                    break
        return (found, at, log.stable) if at > position else None

    def wait(self, place: tuple[str, int], wake: Callable[[], None]) -> None:
        """Call when the partition has more, or the broker goes down."""
        self._waiters.setdefault(place, []).append(wake)

    def wake(self, place: tuple[str, int]) -> None:
        for wake in self._waiters.pop(place, ()):
            wake()

    def _wake_all(self) -> None:
        for place in list(self._waiters):
            self.wake(place)

    def _metadata(self, _: Any) -> Any:
        rows = [
            {
                "topic": topic,
                "error_code": 0,
                "partitions": [{"partition": log.number, "leader": 0, "replicas": [0]} for log in logs],
            }
            for topic, logs in self.logs.items()
        ]
        return Answer(to_object=lambda: {"topics": rows})

    def _edges(self, request: Any) -> Any:
        ((topic, numbers),) = request._topics
        rows = [(number, 0, -1, 0 if edge == -2 else self.logs[topic][number].end) for number, edge in numbers]
        return Answer(topics=[(topic, rows)])

    def _offset_fetch(self, request: Any) -> Any:
        if code := self._loading_code("group"):
            return Answer(error_code=code, topics=[])
        ((topic, numbers),) = request._partitions
        committed = self.groups[request._consumer_group].committed
        rows = [(number, *committed.get((topic, number), (-1, "")), 0) for number in numbers]
        return Answer(error_code=0, topics=[(topic, rows)])

    # Writing

    def append(self, topic: str, number: int, key: bytes | None, value: bytes | None) -> int:
        """A record written outside any transaction; its offset."""
        record = Stored(topic, number, 0, self._now_ms(), key, value)
        self.logs[topic][number].append(record)
        self.wake((topic, number))
        return record.offset

    def _now_ms(self) -> int:
        return 1_700_000_000_000 + int(self._loop.time() * MILLISECONDS)

    def _produce(self, request: Any) -> Any:
        topics = [
            (
                topic,
                [
                    (number, *self._append_batch(request._transactional_id, topic, number, data))
                    for number, data in rows
                ],
            )
            for topic, rows in request._topics
        ]
        return Answer(API_VERSION=2, topics=topics)

    def _append_batch(self, id_: str, topic: str, number: int, data: Any) -> tuple[int, int, int]:
        """Error code, offset and timestamp."""
        batch = MemoryRecords(bytes(data)).next_batch()
        log, pid, epoch = self.logs[topic][number], batch.producer_id, batch.producer_epoch
        error = log.check(pid, epoch, lambda: self.transactions.permits(pid, epoch, (topic, number)))
        if error is not None:
            self.note("produce refused")
            return error.errno, -1, -1
        if self.refuses_batch():
            return RecordListTooLargeError.errno, -1, -1
        is_new = log.sequence(pid, epoch, batch.base_sequence)
        if not isinstance(is_new, bool):
            return is_new.errno, -1, -1
        piece, first, now_ms = log.begin(pid, epoch), log.end, self._now_ms()
        if is_new:
            for one in batch:
                headers = tuple(one.headers)
                log.append(Stored(topic, number, 0, now_ms, one.key, one.value, headers, piece, transactional_id=id_))
                log.producers[pid].next_sequence += 1
        else:
            self.note("repeated batch recognised")
        return 0, first, now_ms

    # Transactions

    def _initialise(self, request: Any) -> Any:
        if code := self._loading_code("transaction"):
            return Answer(error_code=code, producer_id=-1, producer_epoch=-1)
        timeout_s = request._transaction_timeout_ms / MILLISECONDS
        error, pid, epoch = self.transactions.initialise(request._transactional_id, timeout_s)
        return Answer(error_code=_code(error), producer_id=pid, producer_epoch=epoch)

    def _add(self, request: Any, places: list[Place]) -> int:
        return self._loading_code("transaction") or _code(
            self.transactions.add(request._transactional_id, request._producer_id, request._producer_epoch, places)
        )

    def _add_partitions(self, request: Any) -> Any:
        places = [(topic, number) for topic, numbers in request._topics for number in numbers]
        code = self._add(request, places)
        return Answer(errors=[(topic, [(number, code) for number in numbers]) for topic, numbers in request._topics])

    def _add_offsets(self, request: Any) -> Any:
        return Answer(error_code=self._add(request, [_place_of_offsets(request._group_id)]))

    def _offset_commit(self, request: Any) -> Any:
        group, pid, epoch = self.groups[request._group_id], request._producer_id, request._producer_epoch
        code = self._loading_code("group")
        if not code:
            place = _place_of_offsets(request._group_id)
            code = _code(group.check(pid, epoch, lambda: self.transactions.permits(pid, epoch, place)))
        if not code:
            rows = [(topic, row) for topic, rows in request._topics for row in rows]
            group.store(pid, epoch, {(topic, number): (offset, text) for topic, (number, offset, text) in rows})
        return Answer(errors=[(topic, [(row[0], code) for row in rows]) for topic, rows in request._topics])

    def _end_transaction(self, request: Any) -> Any:
        code = self._loading_code("transaction") or _code(
            self.transactions.end(
                request._transactional_id,
                request._producer_id,
                request._producer_epoch,
                bool(request._transaction_result),
            )
        )
        return Answer(error_code=code)

    def _write_marker(self, place: Place, pid: int, epoch: int, fate: Fate) -> None:
        if fate is Fate.ABORTED:
            self.note("abort marker")
        if place[0].startswith(OFFSETS):
            self.groups[place[0].removeprefix(OFFSETS)].mark(pid, epoch, fate)
            return
        self.logs[place[0]][place[1]].mark(pid, epoch, fate, self._now_ms())
        self.wake(place)


def _place_of_offsets(group: str) -> Place:
    return OFFSETS + group, 0


def _code(error: type[KafkaError] | None) -> int:
    return 0 if error is None else int(error.errno)
