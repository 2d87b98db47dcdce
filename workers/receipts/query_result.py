"""The end of each query: a settled reply with its full set of charges, or one dead letter."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field

from schemas.billing import AdvertiserCharged
from schemas.envelope import Event, from_record
from schemas.record import Record
from schemas.reply import ReplySettled
from schemas.topics import BY_NAME, CHARGED, DEAD_LETTERS, SETTLED
from workers.receipts.query_events import QueryEvents

TERMINAL_TOPICS = (SETTLED.name, CHARGED.name, *DEAD_LETTERS)


@dataclass(frozen=True)
class Terminal:
    """How one query ended. Exactly one of `settled` and `dead_letter` is there."""

    query_id: str
    settled: Event[ReplySettled] | None = None
    charges: tuple[Event[AdvertiserCharged], ...] = ()
    dead_letter: Record | None = None


@dataclass
class Collector:
    """Puts terminals together from records of TERMINAL_TOPICS; queries that are not in `expected` are ignored."""

    expected: Collection[str]
    _queries: dict[str, QueryEvents] = field(default_factory=dict)

    def add(self, record: Record) -> Terminal | None:
        """The terminal that `record` completes, if it does. ReceiptError: it contradicts one that came before."""
        if record.topic in DEAD_LETTERS:
            query_id = (record.key or b"").decode(errors="replace")
            return Terminal(query_id, dead_letter=record) if query_id in self.expected else None
        event = from_record(record, BY_NAME[record.topic])
        query_id = event.correlation_id
        if query_id not in self.expected:
            return None
        query = self._queries.setdefault(query_id, QueryEvents(query_id, "Kafka"))
        query.add(event)
        return Terminal(query_id, query.settled, query.charges) if query.is_complete else None


async def terminals(records: AsyncIterator[Record], expected: Collection[str]) -> AsyncIterator[Terminal]:
    """The terminals of the expected queries, each once, in the order they complete; ends when all have one."""
    collector, missing = Collector(expected), set(expected)
    while missing:
        terminal = collector.add(await anext(records))
        if terminal is not None and terminal.query_id in missing:
            missing.remove(terminal.query_id)
            yield terminal
