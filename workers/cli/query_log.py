"""The events of one query, from Kafka or from CloudEvents lines, put together for its receipt."""

import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from schemas.dead_letter import Header
from schemas.draw import DrawCommitment
from schemas.envelope import Event, from_record
from schemas.letter import DeadLetter
from schemas.lines import from_line, read_event
from schemas.payload import BadRecord, Payload
from schemas.reasons import VoidReason
from schemas.record import Record
from schemas.reply import ReplySettled
from schemas.topics import BY_NAME, CHARGED, COMMITMENTS, DEAD_LETTERS, SCORED, SETTLED
from workers.draw_keys import commitments
from workers.errors import ReceiptError
from workers.mechanism.epochs import EpochKey, epoch_key
from workers.receipts.query_events import QueryEvents
from workers.receipts.sale import KnownKey, Sale
from workers.settings import DEMO_DRAW_KEY


@dataclass
class QueryLog(QueryEvents):
    """What a log holds of one query: its events, the keys of draws, why it was refused, what could not be read."""

    keys: list[Event[DrawCommitment]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)  # of dead letters: reason and message
    unreadable: int = 0  # records of others that were passed over
    first_unreadable: str = ""  # where the first of them is, and what is wrong with it

    def add(self, event: Event[Payload]) -> None:
        """Take in an event of this query, or a commitment. ReceiptError: another one in the place of its own."""
        if isinstance(event.data, DrawCommitment):
            self.keys.append(event)  # type: ignore[arg-type]  # narrowed by its data
        else:
            super().add(event)

    def is_named_in(self, value: bytes) -> bool:
        """Whether JSON text holds the query's id as a string of its own; a longer id is another query's."""
        return f'"{self.query_id}"'.encode() in value

    def pass_over(self, error: BadRecord, where: str, ours: bool) -> None:
        """Count a record that cannot be read. ReceiptError: it is of this query, so a receipt would be a guess."""
        said = f"{where}: {error.reason.name}: {error}"
        if ours:
            raise ReceiptError(said) from None
        self.unreadable += 1
        self.first_unreadable = self.first_unreadable or said

    def sale(self, secrets: Iterable[bytes]) -> Sale:
        """The sale, with the epoch's key where the log reveals it or a secret gives it. ReceiptError: there is none."""
        settled, scored = self._settled(), self.settled_from
        if scored is None:
            raise ReceiptError(
                f"{self.where} has the reply to {self.query_id} but not its {SCORED.name} event, which holds the "
                "numbers: the log is cut short, or was kept for less time"
            )
        if missing := self.missing_bills:
            count = len(settled.data.charge_ids)
            raise ReceiptError(
                f"{self.where} has {count - len(missing)} of the {count} bills of {self.query_id}: the log is cut "
                "short, or still being written"
            )
        epoch = settled.data.draw.epoch if settled.data.draw else None
        committed = commitments(self.keys).get(epoch or "")
        revealed = committed.key if committed else None
        return Sale(scored, settled, self.charges, committed, self._key(settled.data, revealed, secrets))

    def _settled(self) -> Event[ReplySettled]:
        if self.settled is None:
            raise ReceiptError(self._why_unsettled())
        if self.settled.data.outcome != "sold":
            raise ReceiptError(_why_unsold(self.settled.data))
        return self.settled

    def _why_unsettled(self) -> str:
        if self.refusals:
            return f"query {self.query_id} was refused ({self.refusals[0]}): no auction, no charge, no receipt"
        if self.scored or self.bills:
            return f"{self.where} has no reply to {self.query_id} yet: it is not settled, or the log is cut short"
        return f"{self.where} has no query {self.query_id!r}; the ids are the subjects of its {SETTLED.name} events"

    def _key(self, settled: ReplySettled, revealed: str | None, secrets: Iterable[bytes]) -> KnownKey | None:
        """The key whose hash the draw names: revealed, of a demonstration, or derived from a secret of ours."""
        if settled.draw is None:
            return None
        epoch, wanted = settled.draw.epoch, settled.draw.key_sha256
        public = [epoch_key(DEMO_DRAW_KEY.get_secret_value().encode(), epoch)]
        if revealed:
            public.append(EpochKey(epoch, bytes.fromhex(revealed), wanted))
        ours = [epoch_key(secret, epoch) for secret in secrets]
        known = [KnownKey(key, True) for key in public] + [KnownKey(key, False) for key in ours]
        return next((one for one in known if one.key.sha256 == wanted), None)


def _why_unsold(settled: ReplySettled) -> str:
    """An auction that nobody took part in, or that is void, has no charge: the outcome and its reasons, one line."""
    why = "void" if settled.outcome == "void" else "no advertiser took part"
    if settled.void_reason:
        why += f", {VoidReason(settled.void_reason).name}"
    out = "".join(f"; {one.advertiser_id} abstained: {one.reason.name}" for one in settled.abstentions)
    return (
        f"query {settled.query_id} was not sold ({why}{out}): its reply is free of advertising and nobody pays, so "
        "there is no receipt"
    )


class Stored(Protocol):
    """What is read: a bus, or what of it a period holds."""

    def stored(self, topics: Sequence[str], key: bytes | None = None) -> AsyncGenerator[Record, None]: ...


async def read_kafka(bus: Stored, query_id: str, where: str) -> QueryLog:
    """The query's partitions for its events and refusals, its bidders' for its bills.

    ReceiptError names the record of this query that cannot be read.
    """
    log, key = QueryLog(query_id, where), query_id.encode()
    await _add_all(log, bus.stored([SCORED.name, SETTLED.name, *DEAD_LETTERS], key))
    await _add_all(log, bus.stored([COMMITMENTS.name]))
    for bidder in log.settled_from.data.advertisers if log.settled_from else ():
        bills_key = bidder.advertiser_id.encode()  # others of its partition are read in their own turn
        await _add_all(log, bus.stored([CHARGED.name], bills_key), only=bills_key)
    return log


async def _add_all(log: QueryLog, stored: AsyncGenerator[Record, None], only: bytes | None = None) -> None:
    """The records, or those with one key; the reader is closed, also when one of them cannot be read."""
    async with aclosing(stored) as records:
        async for record in records:
            if only in (None, record.key):
                _add_record(log, record)


def _add_record(log: QueryLog, record: Record) -> None:
    if record.topic in DEAD_LETTERS:
        if record.key == log.query_id.encode():
            letter = DeadLetter(record)
            log.refusals.append(_refusal(letter.reason, letter.message))
    elif record.topic == CHARGED.name and log.query_id.encode() not in (record.value or b""):
        return  # millions of other queries' bills are not decoded
    elif record.topic in (CHARGED.name, COMMITMENTS.name) or record.key == log.query_id.encode():
        try:
            event = from_record(record, BY_NAME[record.topic])
        except BadRecord as error:
            where = f"{log.where}, {record.topic} partition {record.partition} offset {record.offset}"
            log.pass_over(error, where, record.key == log.query_id.encode() or log.is_named_in(record.value or b""))
            return
        if record.topic == COMMITMENTS.name or event.correlation_id == log.query_id:
            log.add(event)


def read_lines(lines: Iterable[bytes], query_id: str, where: str) -> QueryLog:
    """The query's events in CloudEvents lines. ReceiptError names the line of this query that cannot be read."""
    log = QueryLog(query_id, where)
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                _add_line(log, line)
        except BadRecord as error:
            log.pass_over(error, f"{where}, line {number}", log.is_named_in(line))
    return log


def _add_line(log: QueryLog, line: bytes) -> None:
    if (refused := _dead_letter(line)) is not None:
        if refused.get("subject") == log.query_id:
            log.refusals.append(_refusal(refused.get(Header.REASON.attribute), refused.get(Header.MESSAGE.attribute)))
        return
    kind, _, attributes = from_line(line)
    if kind == COMMITMENTS.name or kind not in BY_NAME or attributes.get("correlationid") == log.query_id:
        for event in _events(line, kind):
            log.add(event)


def _events(line: bytes, kind: str) -> Iterator[Event[Payload]]:
    """The line's event; an unknown type is refused like any reader of the topic would."""
    event = read_event(line, BY_NAME.get(kind, SCORED))
    if event is not None:
        yield event


def _dead_letter(line: bytes) -> dict[str, Any] | None:
    if b'"data_base64"' not in line or b'"data":' in line:
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None  # cut short: the reader of events says so
    return found if isinstance(found, dict) else None


def _refusal(reason: object, message: object) -> str:
    return f"{reason}: {message}" if message else str(reason)
