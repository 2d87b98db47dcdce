"""A stage's own log of where it stands: one record in every transaction, the newest of them read at each opening.

The committed offset beside it is for monitoring, and for the release before: what a group's coordinator answers is no
proof (decision 0011).
"""

import logging
from dataclasses import dataclass, replace

from aiokafka import TopicPartition

from schemas.payload import BadRecord
from schemas.position import StagePosition
from schemas.record import Placed
from workers.errors import BrokerError, OffsetLost
from workers.stream.connection.admin_client import EARLIEST, Cluster
from workers.stream.connection.clients import Clients
from workers.stream.deduplication.changelog import Changelog, Entry
from workers.stream.offsets import Completion, read_completion
from workers.stream.operator_lines import NO_POSITION_PARTITION
from workers.stream.partition.producer import BARRIER

log = logging.getLogger(__name__)

FEW = 16  # offsets looked at first: a transaction takes two, its record and its marker


@dataclass(frozen=True)
class Position:
    """What a stage has finished of one input partition, of the topic with this id.

    `set_back_from`: the offset where it was before somebody set it back; -1: nobody did.
    """

    topic_id: str
    completion: Completion
    set_back_from: int = -1

    def joined(self, told: Completion) -> "Position":
        """With what else is said to be finished: what is finished stays so, unless it was set back since."""
        return self if told.base <= self.set_back_from else replace(self, completion=self.completion.joined(told))


class PositionLog:
    """`topic`'s partition of the same number as `at`, the input partition.

    `exists`: it does not where the input has more partitions by now; then nothing is written or read here.
    `read_offset`: where the record lies that was read last; -1: there was none.
    """

    def __init__(self, topic: str, at: TopicPartition) -> None:
        self.at, self.place = at, TopicPartition(topic, at.partition)
        self.exists, self.read_offset = True, -1

    async def find(self, clients: Clients) -> None:
        """See whether it exists; one that was not there may have been added.

        BrokerError: there is no such topic at all: a broker that knows too little of it, or a topic that was deleted.
        """
        async with clients.cluster() as cluster:
            partitions = (await cluster.retry(cluster.partitions)).get(self.place.topic, ())
        if not partitions:
            raise BrokerError(f"Kafka knows no topic {self.place.topic}, which says where the stage stands")
        self.exists = any(partition.number == self.place.partition for partition in partitions)
        if not self.exists:
            NO_POSITION_PARTITION.tell(log, **self.at._asdict(), positions=self.place.topic)

    def barrier(self) -> Placed | None:
        """To be written and aborted. Whatever was acknowledged before lies below it, in the same log."""
        return self._record(BARRIER.encode()) if self.exists else None

    def records(self, position: Position) -> tuple[Placed, ...]:
        """What to write in the transaction that commits this."""
        return (self.record(position),) if self.exists else ()

    def record(self, position: Position) -> Placed:
        """To be written in the transaction that commits this."""
        said = StagePosition(
            topic=self.at.topic,
            topic_id=position.topic_id,
            offset=position.completion.base,
            metadata=position.completion.metadata(),
            set_back_from=None if position.set_back_from < 0 else position.set_back_from,
        )
        return self._record(said.encode())

    def _record(self, value: bytes) -> Placed:
        key = f"{self.at.topic}/{self.at.partition}".encode()
        return Placed(self.place.topic, key, value, to_partition=self.place.partition)

    async def read(self, cluster: Cluster, before: int, topic_id: str) -> Position | None:
        """The newest committed record below the offset `before`; None if there is none, it is of another topic, or the
        partition does not exist.

        OffsetLost: it is none of ours. BrokerError: the log cannot be read up to there, or brings nothing for long.
        """
        newest = await self._newest(Changelog(cluster, self.place), before) if self.exists else None
        self.read_offset = -1 if newest is None else newest.offset
        said = None if newest is None else self._decoded(newest)
        if said is None or (said.topic, said.topic_id) != (self.at.topic, topic_id):
            return None
        return Position(
            topic_id,
            read_completion(said.offset, said.metadata),
            -1 if said.set_back_from is None else said.set_back_from,
        )

    @staticmethod
    async def _newest(log: Changelog, before: int) -> Entry | None:
        begin, look = await log.edge(EARLIEST), FEW
        while True:
            start, newest = max(begin, before - look), None
            if start < before:
                async for entries in log.records(start, before):
                    newest = entries[-1] if entries else newest
            if newest is not None or start == begin:
                return newest
            look *= 2

    def _decoded(self, entry: Entry) -> StagePosition:
        try:
            return StagePosition.decode(entry.value)
        except BadRecord as error:
            raise OffsetLost(
                f"{self.place.topic} partition {self.place.partition} offset {entry.offset}: {error}. A newer release "
                "wrote it, or somebody else, so where to go on is unknown, and a guess would do work twice: start that "
                "release, or find out who writes there (`tessera principals show` lists who may) and decide with "
                f"`tessera offsets set {self.at.topic}/{self.at.partition}/OFFSET`"
            ) from None
