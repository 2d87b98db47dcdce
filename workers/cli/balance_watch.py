"""`tessera balance --metrics-port`: the book goes on counting, and Prometheus is told whether it is in balance."""

import asyncio
import signal
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

import click

from schemas.envelope import from_record
from schemas.payload import BadRecord
from schemas.topics import BY_NAME, CHARGED, CREDITED
from workers.cli.ledger_source import Unreadable, count
from workers.ledger.book import Book
from workers.operations.ledger_metrics import LedgerMetrics
from workers.settings import Settings
from workers.sinks.copying import KafkaSource, RecordSource
from workers.stream.bus import Offsets
from workers.stream.connection.clients import Clients

EVERY_S = 15.0


@dataclass
class LedgerWatch:
    """Counts what is new whenever it is asked to. Memory holds the accounts, whatever the topics' length."""

    source: RecordSource
    metrics: LedgerMetrics
    book: Book = field(default_factory=Book)
    unreadable: Unreadable = field(default_factory=Unreadable)
    _read: Offsets = field(default_factory=dict)

    async def read(self) -> None:
        """Bills and credits up to the end of what is committed. OffsetLost: some were deleted before they were read."""
        span = await self.source.span(self._read)
        async with aclosing(self.source.records(span)) as records:
            async for record in records:
                try:
                    count(self.book, (from_record(record, BY_NAME[record.topic]), record.offset))
                except BadRecord as error:
                    self.unreadable.add(record, error)
        self._read = span.ends
        self.metrics.read(self.book, self.unreadable.count)

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until `stop` is set."""
        while not stop.is_set():
            await self.read()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_S)


async def watch(settings: Settings, port: int) -> None:
    """Serve the metrics until SIGTERM or Ctrl-C. BrokerError: Kafka cannot be read."""
    stop, metrics = asyncio.Event(), LedgerMetrics()
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, stop.set)
    host = settings.metrics_host
    click.echo(f"metrics at http://{host}:{metrics.serve(host, port)}/metrics", err=True)
    await LedgerWatch(KafkaSource(Clients(settings), [CHARGED.name, CREDITED.name]), metrics).run(stop)
