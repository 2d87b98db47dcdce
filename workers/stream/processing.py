"""One record through one stage: decode, handle, encode; a record that cannot be worked on becomes a dead letter."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.dead_letter import dead_letter
from schemas.envelope import Event, from_record
from schemas.payload import BadRecord, Payload, UnknownValue
from schemas.reasons import DeadLetterReason, RepeatReason
from schemas.record import Outgoing, Record
from schemas.topics import DEAD_LETTER_MAX_BYTES
from workers.errors import BrokerError, Refused, UpgradeFirst
from workers.stage import Stage
from workers.stream.bus import Observer
from workers.stream.deduplication.deduplicator import Once, Repeated, ScoredAgain


@dataclass(frozen=True, slots=True)
class Result:
    """What the input record at `offset` leads to: events, one dead letter and its reason, or nothing.

    `repeat`: its auction had its outcome before, which stands.
    """

    offset: int
    events: Sequence[Event[Payload]] = ()
    letter: Outgoing | None = None
    refusal: DeadLetterReason | None = None
    repeat: RepeatReason | None = None

    @property
    def count(self) -> int:
        """How many records are to be published."""
        return len(self.events) + (self.letter is not None)

    @property
    def outgoing(self) -> Iterator[Outgoing]:
        """What is to be published, made as it is sent: thousands of results wait for their transaction."""
        if self.letter is not None:
            yield self.letter
        for event in self.events:
            yield event.to_record()


async def process(stage: Stage, record: Record, observer: Observer, once: Once) -> Result:
    """The result of `record`; whatever is not the record's own fault propagates.

    Tasks of this must be created in the order of the input: the event loop begins them in that order, and `once` is
    asked before anything is awaited.
    """
    began = time.perf_counter()
    try:
        _check_sound(record)
        once.check_place(record)
        events = await once.work(from_record(record, stage.spec.consumes), stage.worker.handle)
        return Result(record.offset, events)
    except Repeated:
        return Result(record.offset, repeat=RepeatReason.SAME_EVENT)
    except UnknownValue as newer:
        raise _upgrade_first(stage.spec.name, record, newer) from None
    except (BadRecord, Refused) as refusal:
        if stage.spec.watches:
            return Result(record.offset)
        letter = dead_letter(record, stage.spec.name, refusal.reason, str(refusal))
        repeat = RepeatReason.SCORED_AGAIN if isinstance(refusal, ScoredAgain) else None
        return Result(record.offset, (), letter, refusal.reason, repeat)
    finally:
        observer.handled(stage.spec.name, time.perf_counter() - began)


def _upgrade_first(stage: str, record: Record, newer: UnknownValue) -> UpgradeFirst:
    return UpgradeFirst(
        f"{record.place}: {newer}. This release does not know that value: upgrade {stage} first, readers before "
        "writers (infra/upgrading.md). Until then the stage stops here and nothing is lost; another start does not "
        "help. If no newer release runs, somebody else wrote the record: "
        f"`tessera dlq send {record.place}` puts it aside"
    )


def _check_sound(record: Record) -> None:
    """BrokerError: Kafka's bytes are damaged. Nobody sent them so, and they are not skipped."""
    if record.flaw is not None and record.flaw.is_damage:
        place = record.place
        raise BrokerError(
            f"{place}: {record.flaw.message}. Another replica may have it whole: let that one lead the partition. If "
            f"none has, `tessera dlq send {place}` makes it a dead letter, and the stage goes on behind it"
        )


def refuse(
    stage: Stage, record: Record, reason: DeadLetterReason, message: str, most: int = DEAD_LETTER_MAX_BYTES
) -> Result:
    """The result of a record that is not worked on any more: a letter of at most about `most` bytes."""
    if stage.spec.watches:
        return Result(record.offset)
    return Result(record.offset, (), dead_letter(record, stage.spec.name, reason, message, most), reason)


def report(result: Result, stage: str, observer: Observer) -> None:
    """Tell the observer what was committed."""
    observer.committed(result.events)
    if result.repeat is not None:
        observer.repeated(stage, result.repeat)
    elif result.refusal is not None:
        observer.refused(stage, result.refusal)
