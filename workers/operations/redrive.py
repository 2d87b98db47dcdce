"""Which dead letters may be redriven, and why others may not; places of records as people write them."""

from collections.abc import Callable
from datetime import datetime

from schemas.envelope import Event, from_record, timestamp
from schemas.letter import DeadLetter, Place
from schemas.payload import BadRecord, Payload
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.topics import DEAD_LETTER_SUFFIX, DEAD_LETTERS, QUERIES, SCORED
from workers.errors import TesseraError
from workers.mechanism.epochs import has_begun

MOST_REDRIVES = 3
#: What is wrong lies in the bytes, and they go out unchanged: also an id that has its reply, and a day that is over.
HOPELESS = frozenset(
    reason.name
    for reason in (
        DeadLetterReason.BAD_JSON,
        DeadLetterReason.BAD_SCHEMA,
        DeadLetterReason.TOO_LARGE,
        DeadLetterReason.BAD_NUMBER,
        DeadLetterReason.BAD_KEY,
        DeadLetterReason.KEY_REVEALED,
        DeadLetterReason.DUPLICATE_QUERY,
        DeadLetterReason.UNREADABLE,
    )
)


def check_topic(topic: str) -> str:
    """The name of a dead-letter topic. TesseraError: it is none, or nobody's."""
    if topic in DEAD_LETTERS:
        return topic
    if topic + DEAD_LETTER_SUFFIX in DEAD_LETTERS:
        raise TesseraError(f"{topic} holds no dead letters; those of its readers are in {topic}{DEAD_LETTER_SUFFIX}")
    raise TesseraError(f"there is no dead-letter topic {topic!r}; there are {', '.join(DEAD_LETTERS)}")


def parse_place(text: str, check: Callable[[str], str] = check_topic) -> Place:
    """A place as `tessera dlq list` prints it, in a topic that `check` knows. TesseraError: malformed or unknown."""
    topic, _, rest = text.partition("/")
    partition, _, offset = rest.partition("/")
    if not all(number.isascii() and number.isdigit() and len(number) < 20 for number in (partition, offset)):
        raise TesseraError(
            f"{text!r} is no place of a record: expected TOPIC/PARTITION/OFFSET, as `tessera dlq list` prints it"
        )
    return Place(check(topic), int(partition), int(offset))


def why_not(letter: DeadLetter, at: datetime, force: bool) -> str | None:
    """Why `letter` is not to be redriven at this moment; None for one that may succeed.

    `force` overrules what is pointless, never what would write something else than the record that was refused.
    """
    return _why_impossible(letter) or (None if force else _why_pointless(letter, at))


def _why_impossible(letter: DeadLetter) -> str | None:
    source, topic = letter.source, DEAD_LETTERS[letter.record.topic].name
    if source is None:
        return "its headers do not say where it comes from: no worker wrote it"
    if source.topic != topic:
        return f"it says that it comes from {source.topic}, and the letters of this topic come from {topic}"
    if letter.is_batch:
        return "it holds a packed batch that nobody could read, not a record; ask its producer for the records"
    if letter.is_cut:
        return f"it was cut: the refused record lies at {source}, for as long as its topic keeps it"
    if not letter.is_whole:
        return "its value is not the one that was refused: the SHA-256 differs"
    return None


def _why_pointless(letter: DeadLetter, at: datetime) -> str | None:
    if letter.reason in HOPELESS:
        return f"{letter.reason} lies in its bytes, which would be refused again; correct the query and produce it anew"
    if letter.reason == DeadLetterReason.CRASHED_WORKER.name:
        return "it ended every worker that tried it; first find out why (their logs) and mend it"
    if letter.redrives >= MOST_REDRIVES:
        return f"it was redriven {letter.redrives} times already and refused each time"
    if letter.record.topic == QUERIES.dead_letters:
        return _why_late(letter, at)
    if letter.reason == DeadLetterReason.BAD_HEADERS.name:
        return _why_refused_again(letter)
    if letter.reason == DeadLetterReason.BAD_EPOCH.name:
        return _why_no_day(letter, at)
    return None  # later stages answer a late auction, too: without adverts


def _why_refused_again(letter: DeadLetter) -> str | None:
    """An earlier release judged headers of others as well."""
    try:
        _read_again(letter)
    except BadRecord as error:
        return f"it would be refused again: {error.reason.name}: {error}"
    return None


def _read_again(letter: DeadLetter) -> Event[Payload]:
    record, topic = letter.record, DEAD_LETTERS[letter.record.topic]
    again = Record(topic.name, record.key, record.value, letter.original_headers, record.partition, record.offset)
    return from_record(again, topic)


def _why_late(letter: DeadLetter, at: datetime) -> str | None:
    try:
        deadline = _read_again(letter).expiry_time
    except BadRecord as error:
        return f"it would be refused again: {error.reason.name}: {error}"
    if deadline is not None and deadline <= at:
        return f"the deadline that it states, {timestamp(deadline)}, has passed: it would expire again"
    return None


def _why_no_day(letter: DeadLetter, at: datetime) -> str | None:
    """The broker's time of the redriven record counts: what was too early then may be right now."""
    try:
        epoch = SCORED.payload.decode(letter.record.value).draw_epoch  # type: ignore[attr-defined]  # a scored event
    except BadRecord as error:
        return f"it would be refused again: {error.reason.name}: {error}"
    if epoch is None:
        return "it names no day to draw on: it would be refused again"
    if not has_begun(epoch, at):
        return f"the day of its draw, {epoch}, has not begun: redrive it then"
    return None
