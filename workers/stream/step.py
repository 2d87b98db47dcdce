"""One record through one stage: decode, handle, encode; a record that cannot be worked on becomes a dead letter."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from schemas.envelope import Event, from_record
from schemas.payload import BadRecord, Payload
from schemas.reasons import DeadLetterReason
from schemas.record import Headers, Outgoing, Record
from workers.errors import Refused
from workers.pipeline import Stage
from workers.stream.bus import Observer

DEAD_LETTER_VERSION = "1"
MAX_MESSAGE_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Result:
    """What one input record leads to: events, or one dead letter and its reason."""

    record: Record
    outgoing: tuple[Outgoing, ...]
    events: Sequence[Event[Payload]] = ()
    refusal: DeadLetterReason | None = None


async def process(stage: Stage, record: Record, observer: Observer) -> Result:
    """The result of `record`; whatever is not the record's own fault propagates."""
    began = time.perf_counter()
    try:
        events = await stage.worker.handle(from_record(record, stage.spec.consumes))
        return Result(record, tuple(event.to_record() for event in events), events)
    except (BadRecord, Refused) as refusal:
        letter = dead_letter(record, stage.spec.name, refusal.reason, str(refusal))
        return Result(record, (letter,), (), refusal.reason)
    finally:
        observer.handled(stage.spec.name, time.perf_counter() - began)


def dead_letter(record: Record, stage: str, reason: DeadLetterReason, message: str) -> Outgoing:
    """The refused record, key, value and headers untouched, with why and where in headers of its own."""
    value = record.value or b""
    added: dict[str, str] = {
        "dlq.version": DEAD_LETTER_VERSION,
        "dlq.reason": reason.name,
        "dlq.code": str(int(reason)),
        "dlq.message": _shortened(message),
        "dlq.stage": stage,
        "dlq.topic": record.topic,
        "dlq.partition": str(record.partition),
        "dlq.offset": str(record.offset),
        "dlq.timestamp": str(record.timestamp_ms),
        "dlq.value.bytes": str(len(value)),
        "dlq.value.sha256": sha256(value).hexdigest(),
    }
    headers: Headers = (*record.headers, *((name, text.encode()) for name, text in added.items()))
    return Outgoing(f"{record.topic}.dlq", record.key, record.value, headers)


def _shortened(message: str) -> str:
    return message.encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore")


def report(result: Result, stage: str, observer: Observer) -> None:
    """Tell the observer what was committed."""
    observer.committed(result.events)
    if result.refusal is not None:
        observer.refused(stage, result.refusal)
