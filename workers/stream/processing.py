"""One record through one stage: decode, handle, encode; a record that cannot be worked on becomes a dead letter."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from schemas.dead_letter import PREFIX, Header, dead_letter
from schemas.envelope import Event, from_record
from schemas.payload import BadRecord, Payload, UnknownValue
from schemas.reasons import DeadLetterReason, RepeatReason
from schemas.record import Outgoing, Record
from schemas.topics import DEAD_LETTER_MAX_BYTES
from workers.errors import BrokerError, Refused, UpgradeFirst
from workers.stage import Stage
from workers.stream.bus import Observer
from workers.stream.deduplication.deduplicator import Once, Repeated, ScoredAgain
from workers.stream.operator_lines import DEAD_LETTER

log = logging.getLogger(__name__)

MOST_SHOWN = 64  # characters of a key that may be anything: a query id has no more


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


@dataclass(frozen=True, slots=True)
class Unworkable:
    """Why a record is not worked on any more, whatever is in it. Its letter is of at most about `most_bytes`."""

    reason: DeadLetterReason
    message: str
    most_bytes: int = DEAD_LETTER_MAX_BYTES


#: Of a record whose results a topic did not take for their size: any topic takes the letter.
OVERSIZED = Unworkable(
    DeadLetterReason.TOO_LARGE,
    "what this record leads to is larger than its topic takes (max.message.bytes); "
    "`tessera doctor` compares the limits",
    512 * 1024,  # less than Kafka's own limit for a topic that has none set
)


async def process(
    stage: Stage, record: Record, observer: Observer, once: Once, refusal: Unworkable | None = None
) -> Result:
    """The result of `record`; whatever is not the record's own fault propagates. With a `refusal` it is only refused.

    Tasks of this must be created in the order of the input: the event loop begins them in that order, and `once` is
    asked before anything is awaited.
    """
    if refusal is not None:
        return _refused(stage, record, refusal)
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
    except (BadRecord, Refused) as refused:
        if stage.spec.watches:
            return Result(record.offset)
        letter = dead_letter(record, stage.spec.name, refused.reason, str(refused))
        repeat = RepeatReason.SCORED_AGAIN if isinstance(refused, ScoredAgain) else None
        return Result(record.offset, (), letter, refused.reason, repeat)
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


def _refused(stage: Stage, record: Record, why: Unworkable) -> Result:
    if stage.spec.watches:
        return Result(record.offset)
    letter = dead_letter(record, stage.spec.name, why.reason, why.message, why.most_bytes)
    return Result(record.offset, (), letter, why.reason)


def _tell(letter: Outgoing, stage: str) -> None:
    """Its reason and its place; of what people have written only the key, which should be the query's id."""
    said = {name: (value or b"").decode(errors="replace") for name, value in letter.headers if name.startswith(PREFIX)}
    DEAD_LETTER.tell(
        log,
        stage=stage,
        topic=said[Header.TOPIC],
        partition=int(said[Header.PARTITION]),
        offset=int(said[Header.OFFSET]),
        query_id=ascii((letter.key or b"").decode(errors="replace"))[1:-1][:MOST_SHOWN],
        reason=said[Header.REASON],
        code=int(said[Header.CODE]),
    )


def report(results: Iterable[Result], stage: str, observer: Observer) -> None:
    """Tell the observer, and the log, what was committed."""
    for result in results:
        observer.committed(result.events)
        if result.letter is not None and log.isEnabledFor(DEAD_LETTER.level):
            _tell(result.letter, stage)
        if result.repeat is not None:
            observer.repeated(stage, result.repeat)
        elif result.refusal is not None:
            observer.refused(stage, result.refusal)
