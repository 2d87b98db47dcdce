"""aiokafka's own request objects, answered from the broker's logs, groups and transactions."""

from collections.abc import Callable
from types import SimpleNamespace as Answer
from typing import Any

from aiokafka.errors import CoordinatorLoadInProgressError, KafkaError, PolicyViolationError
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
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

from tests.simulation.batches import batches
from tests.simulation.broker import MILLISECONDS, Broker, place_of_offsets
from tests.simulation.log import Stored
from tests.simulation.transactions import Place
from workers.stream.connection.offset_fetch import OffsetFetchRequest
from workers.stream.connection.static_members import STABLE, StaticMembersRequest
from workers.stream.connection.topic_ids import TopicIdRequest

MOST_FETCHED = 5
A_UUID = bytes(range(16))


class Api:
    """What aiokafka itself asks. The simulated consumer joins at the `Group` and fetches at the `Broker`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._handlers: dict[type, Callable[[Any], Any]] = {
            ProduceRequest: self._produce,
            InitProducerIdRequest: self._initialise,
            AddPartitionsToTxnRequest: self._add_partitions,
            AddOffsetsToTxnRequest: self._add_offsets,
            TxnOffsetCommitRequest: self._offset_commit,
            EndTxnRequest: self._end_transaction,
            OffsetFetchRequest: self._offset_fetch,
            StaticMembersRequest: self._members,
            OffsetRequest: self._edges,
            TopicIdRequest: lambda request: Answer(topics=[(0, request.topic, A_UUID)]),
            MetadataRequest: self._metadata,
            FetchRequest: self._fetch,
            DescribeConfigsRequest: self._configs,
            FindCoordinatorRequest: lambda _: Answer(error_code=0, coordinator_id=0),
        }

    def handle(self, request: Any) -> Any:
        """The answer to the request. Raises Down: there is none."""
        self._broker.check_up()
        return self._handlers[type(request)](request)

    def _loading_code(self, kind: str) -> int:
        if self._broker.is_loading(kind):
            self._broker.note(f"{kind} coordinator loading")
            return int(CoordinatorLoadInProgressError.errno)
        return 0

    # Reading

    def _metadata(self, _: Any) -> Any:
        rows = [
            {
                "topic": topic,
                "error_code": 0,
                "partitions": [{"partition": log.number, "leader": 0, "replicas": [0]} for log in logs],
            }
            for topic, logs in self._broker.logs.items()
        ]
        return Answer(to_object=lambda: {"topics": rows})

    def _edges(self, request: Any) -> Any:
        ((topic, numbers),) = request._topics
        logs, stable = self._broker.logs[topic], bool(request._isolation_level)
        rows = [(number, 0, -1, logs[number].edge(edge, stable=stable)) for number, edge in numbers]
        return Answer(topics=[(topic, rows)])

    def _configs(self, request: Any) -> Any:
        """Nothing is ever deleted."""
        ((_, topic, names),) = request._resources
        kept = {"cleanup.policy": "compact"}
        return Answer(resources=[(0, "", 2, topic, [(name, kept.get(name, "-1")) for name in names])])

    def _fetch(self, request: Any) -> Any:
        """Of one partition, raw, committed records only."""
        ((topic, ((number, position, _),)),) = request.topics
        log = self._broker.logs[topic][number]
        records, aborted = batches(log.entries[position : log.stable][:MOST_FETCHED])
        row = number, 0, log.end, log.stable, 0, aborted, -1, records
        return Answer(API_VERSION=11, topics=[(topic, [row])])

    def _offset_fetch(self, request: Any) -> Any:
        if code := self._loading_code("group"):
            return Answer(error_code=code, topics=[])
        group = self._broker.groups[request.group]
        found = {number: group.stands_at((request.topic, number), request.stable) for number in request.numbers}
        rows = [
            (number, *at, 0) if isinstance(at, tuple) else (number, -1, "", _code(at)) for number, at in found.items()
        ]
        return Answer(error_code=0, topics=[(request.topic, rows)])

    def _members(self, request: Any) -> Any:
        """A group that is rebalancing does not tell what its members have said."""
        code, group = self._loading_code("group"), self._broker.groups[request.group]
        rows = [
            (one.id, one.instance, "", "/simulated", b"" if group.balancing else one.subscription, b"")
            for one in group.members.values()
        ]
        return Answer(groups=[(code, group.name, "PreparingRebalance" if group.balancing else STABLE, "", "", rows, 0)])

    # Writing

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
        log, pid, epoch = self._broker.logs[topic][number], batch.producer_id, batch.producer_epoch
        error = log.check(pid, epoch, lambda: self._broker.transactions.permits(pid, epoch, (topic, number)))
        if error is not None:
            self._broker.note("produce refused")
            return error.errno, -1, -1
        if self._broker.refuses_batch():
            return PolicyViolationError.errno, -1, -1
        is_new = log.sequence(pid, epoch, batch.base_sequence)
        if not isinstance(is_new, bool):
            return is_new.errno, -1, -1
        piece, now_ms = log.begin(pid, epoch), self._broker.now_ms()
        first = log.end - (0 if is_new else log.producers[pid].next_sequence - batch.base_sequence)  # as good as ever
        if is_new:
            for one in batch:
                headers = tuple(one.headers)
                log.append(Stored(topic, number, 0, now_ms, one.key, one.value, headers, piece, transactional_id=id_))
                log.producers[pid].next_sequence += 1
        else:
            self._broker.note("repeated batch recognised")
        return 0, first, now_ms

    # Transactions

    def _initialise(self, request: Any) -> Any:
        if code := self._loading_code("transaction"):
            return Answer(error_code=code, producer_id=-1, producer_epoch=-1)
        timeout_s = request._transaction_timeout_ms / MILLISECONDS
        error, pid, epoch = self._broker.transactions.initialise(request._transactional_id, timeout_s)
        return Answer(error_code=_code(error), producer_id=pid, producer_epoch=epoch)

    def _add(self, request: Any, places: list[Place]) -> int:
        return self._loading_code("transaction") or _code(
            self._broker.transactions.add(
                request._transactional_id, request._producer_id, request._producer_epoch, places
            )
        )

    def _add_partitions(self, request: Any) -> Any:
        topics = sorted((topic, sorted(numbers)) for topic, numbers in request._topics)  # aiokafka has them in sets
        code = self._add(request, [(topic, number) for topic, numbers in topics for number in numbers])
        return Answer(errors=[(topic, [(number, code) for number in numbers]) for topic, numbers in topics])

    def _add_offsets(self, request: Any) -> Any:
        return Answer(error_code=self._add(request, [place_of_offsets(request._group_id)]))

    def _offset_commit(self, request: Any) -> Any:
        group, pid, epoch = self._broker.groups[request._group_id], request._producer_id, request._producer_epoch
        code = self._loading_code("group")
        if not code:
            place = place_of_offsets(request._group_id)
            code = _code(group.check(pid, epoch, lambda: self._broker.transactions.permits(pid, epoch, place)))
        if not code:
            rows = [(topic, row) for topic, rows in request._topics for row in rows]
            group.store(pid, epoch, {(topic, number): (offset, text) for topic, (number, offset, text) in rows})
        return Answer(errors=[(topic, [(row[0], code) for row in rows]) for topic, rows in request._topics])

    def _end_transaction(self, request: Any) -> Any:
        id_, pid, epoch = request._transactional_id, request._producer_id, request._producer_epoch
        code = self._loading_code("transaction")
        if not code:
            code = _code(self._broker.transactions.end(id_, pid, epoch, bool(request._transaction_result)))
        return Answer(error_code=code)


def _code(error: type[KafkaError] | None) -> int:
    return 0 if error is None else int(error.errno)
