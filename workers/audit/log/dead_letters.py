"""One dead letter by itself: what its headers claim, against its own bytes and the table of reasons."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from schemas.dead_letter import Header
from schemas.letter import DeadLetter, Place
from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.topics import DEAD_LETTERS, SCORED
from workers.audit.log.auction_ids import place_of
from workers.audit.log.invariants import Invariant, Report
from workers.audit.log.query import digest_of


@dataclass(frozen=True, slots=True)
class Refusal:
    """A dead letter, its bytes let go. `source` None: its headers do not say where the refused record lies."""

    letter: Place
    source: Place | None
    reason: str
    digest: bytes  # of key and value

    @property
    def is_of_forgotten_id(self) -> bool:
        """Whether settlement refused to say if the record's id was settled: it may have been, long before."""
        of_scored = self.source is not None and self.source.topic == SCORED.name
        return of_scored and self.reason == DeadLetterReason.EXPIRED.name

    def compare(self, report: Report, place: Place, digest: bytes) -> None:
        """Whether it holds the key and value of the record at `place`, which it refuses."""
        report.counts[Invariant.POISON_REFUSED]["compared with what was refused"] += 1
        if digest != self.digest:
            said = f"the dead letter {self.letter} has another key or value than the record {place} that was refused"
            report.find(Invariant.POISON_REFUSED, said)


def read_refusal(record: Record, report: Report) -> Refusal:
    """The refusal in a dead letter; what is wrong with its headers is reported."""
    letter, place = DeadLetter(record), place_of(record)
    report.checked[Invariant.POISON_REFUSED] += 1
    report.counts[Invariant.POISON_REFUSED][letter.reason if _is_known(letter.reason) else "unknown reason"] += 1
    for problem in _problems(letter):
        report.find(Invariant.POISON_REFUSED, f"the dead letter {place}: {problem}")
    named = letter.source
    right = named is not None and named.topic == DEAD_LETTERS[record.topic].name
    source = Place(named.topic, named.partition, named.offset) if named and right else None
    return Refusal(place, source, letter.reason, _digest(letter))


def _digest(letter: DeadLetter) -> bytes:
    """Of what was refused: a dead letter that was cut says only how it was."""
    record = letter.record
    key_sha256 = letter.key_sha256 or (None if record.key is None else sha256(record.key).digest())
    return digest_of(key_sha256, letter.value_sha256 or sha256(record.value or b"").digest())


def _is_known(reason: str) -> bool:
    return reason in DeadLetterReason.__members__


def _problems(letter: DeadLetter) -> Iterator[str]:
    record, source = letter.record, letter.source
    value = record.value or b""
    if source is None:
        yield "its headers do not say which record was refused"
    elif source.topic != (topic := DEAD_LETTERS[record.topic].name):
        yield f"it says that it comes from {source.topic}, and the letters here come from {topic}"
    if not _is_known(letter.reason):
        yield f"there is no reason {letter.reason!r}"
    elif letter.code != str(int(DeadLetterReason[letter.reason])):
        yield f"its code is {letter.code!r}, and {letter.reason} has {int(DeadLetterReason[letter.reason])}"
    if (kept := letter.kept_bytes) is not None:
        if kept != len(value):
            yield f"its value has {len(value)} bytes, and it says that it was cut to {kept}"
        return
    if not letter.is_whole:
        yield "its value does not have the SHA-256 that it had when it was refused"
    if (had := letter.headers.get(Header.VALUE_BYTES)) != str(len(value)):
        yield f"its value has {len(value)} bytes, and had {had!r} when it was refused"
