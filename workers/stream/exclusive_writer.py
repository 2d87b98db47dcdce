"""A writer of which there is one at a time: what it read before it writes holds until its records are committed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from schemas.record import Outgoing
from workers.errors import BrokerError
from workers.stream.connection.clients import Clients
from workers.stream.partition.producer import TransactionalWriter, WriterLost


class ExclusiveWriter(TransactionalWriter):
    """Publishes in transactions without offsets."""

    async def publish(self, record: Outgoing) -> None:
        """Write and commit it. WriterLost, and nothing is written, where another began with the same id since."""
        await self.begin()
        await self.send([record])
        await self._limited(self._producer.commit_transaction())


@asynccontextmanager
async def exclusive_writer(clients: Clients, transactional_id: str) -> AsyncIterator[ExclusiveWriter]:
    """Whoever held the id before can commit nothing from now on, and what it left open is settled.

    BrokerError: another took the id, or an answer was lost; whether the record was committed is then not known.
    """
    writer = ExclusiveWriter(clients, transactional_id)
    try:
        await writer.start()
        yield writer
    except WriterLost as error:
        raise BrokerError(f"{error}: another writer took its place, or Kafka did not answer in time") from error
    finally:
        await writer.discard()
