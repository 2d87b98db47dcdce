"""One transactional id of the probe: transactions one after another, and what was answered."""

import asyncio

from aiokafka import TopicPartition

from schemas.record import Outgoing
from workers.doctor.marker_probe.comparison import COPIES, ProbeRecord
from workers.stream.connection.clients import Clients
from workers.stream.partition.producer import TransactionalWriter, WriterLost

TOPIC = "marker.probe"


class Owner:
    """`acknowledged`: numbers of the transactions whose commit was answered; `started`: how many were begun."""

    def __init__(self, clients: Clients, number: int) -> None:
        self.number = number
        self.group = f"marker.probe.{number}"
        self.acknowledged: set[int] = set()
        self.started = 0
        self.answered = 0
        self._next = 0
        self._clients = clients
        self._writer: TransactionalWriter | None = None

    async def open(self) -> None:
        """Initialise the id: whatever transaction it left is settled when this returns. WriterLost.

        The writer before is let go only now: its requests are answered, by a refusal, because it is fenced.
        """
        before, self._writer = self._writer, TransactionalWriter(self._clients, self.group)
        await self._writer.start()
        if before is not None:
            await before.discard()

    def go_on_at(self, committed: int) -> None:
        """Begin where the committed offset says, as a worker does: what seems undone is done again."""
        self._next = committed

    async def run(self, stop: asyncio.Event) -> None:
        """Transactions, the last of them begun before `stop` is set; ended early by one that is not answered."""
        try:
            while not stop.is_set():
                await self.transaction()
        except WriterLost:
            return

    async def transaction(self) -> None:
        """Records and offset in one. WriterLost: not answered."""
        writer, number = self._writer, self._next
        assert writer is not None, "open it first"  # noqa: S101  # our own mistake
        self.started += 1
        await writer.begin()
        await writer.send(_record(ProbeRecord(self.number, number, copy)) for copy in range(COPIES))
        await writer.commit(TopicPartition(TOPIC, self.number), number + 1, "", self.group)
        self.acknowledged.add(number)
        self.answered += 1
        self._next = number + 1

    async def close(self) -> None:
        """Let go of the connection within seconds, whatever state it is in."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.discard()


def _record(record: ProbeRecord) -> Outgoing:
    """Its key spreads the copies over the partitions."""
    value = f"{record.id} {record.transaction} {record.copy}".encode()
    return Outgoing(TOPIC, f"{record.id} {record.copy}".encode(), value)


def read_record(value: bytes) -> ProbeRecord:
    """The record that `_record` wrote."""
    return ProbeRecord(*map(int, value.split()))


async def all_open(owners: list[Owner]) -> None:
    """Initialise every id. WriterLost."""
    await asyncio.gather(*(owner.open() for owner in owners))
