"""What a reader saw while the log was written, record by record, against what is stored now."""

import json
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from schemas.letter import Place
from schemas.record import NAME_ERRORS, Record
from workers.audit.log.horizon import Horizon
from workers.audit.log.invariants import Invariant, Report
from workers.errors import TesseraError

DIGITS = 16  # of the digest, hexadecimal: one word of memory


def digest_of(record: Record) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of key, value and headers."""
    parts = [record.key, record.value]
    for name, value in record.headers:
        parts += [name.encode(errors=NAME_ERRORS), value]
    framed = [b"-," if part is None else b"%d:%b," % (len(part), part) for part in parts]
    return sha256(b"".join(framed)).hexdigest()[:DIGITS]


def witness_line(record: Record) -> bytes:
    """One record as a line of a witness file."""
    seen = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "sha256": digest_of(record)}
    return json.dumps(seen, separators=(",", ":")).encode() + b"\n"


@dataclass(slots=True)
class Seen:
    """What was seen of one partition, in the order in which it was seen."""

    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    digests: "array[int]" = field(default_factory=lambda: array("Q"))
    next: int = 0  # the first that has not been met among the stored records


@dataclass
class Witness:
    """The lines of a file; memory holds 16 bytes for each."""

    partitions: dict[tuple[str, int], Seen] = field(default_factory=dict)
    disorders: list[str] = field(default_factory=list)

    def saw(self, topic: str, partition: int, offset: int, digest: int) -> None:
        seen = self.partitions.setdefault((topic, partition), Seen())
        if seen.offsets and offset <= seen.offsets[-1]:
            self.disorders.append(f"offset {offset} of {topic}/{partition} was seen after {seen.offsets[-1]}")
            return
        seen.offsets.append(offset)
        seen.digests.append(digest)

    def compare(self, report: Report, record: Record) -> None:
        """The next stored record of its partition: the same must have been seen."""
        seen = self.partitions.get((record.topic, record.partition))
        if seen is None or not seen.offsets[0] <= record.offset <= seen.offsets[-1]:
            return
        report.checked[Invariant.SAME_SEQUENCE] += 1
        report.counts[Invariant.SAME_SEQUENCE]["compared with the witness"] += 1
        where = record.place
        while seen.offsets[seen.next] < record.offset:
            gone = f"{record.topic}/{record.partition}/{seen.offsets[seen.next]}"
            report.find(Invariant.SAME_SEQUENCE, f"{gone} was seen by the witness and is not stored")
            seen.next += 1
        if seen.offsets[seen.next] > record.offset:
            report.find(Invariant.SAME_SEQUENCE, f"{where} is stored, and the witness did not see it")
            return
        if seen.digests[seen.next] != int(digest_of(record), 16):
            report.find(Invariant.SAME_SEQUENCE, f"{where} is not the record that the witness saw")
        seen.next += 1

    def finish(self, report: Report, horizon: Horizon) -> None:
        """What was seen and never met; only retention may have taken it."""
        for sentence in self.disorders:
            report.find(Invariant.SAME_SEQUENCE, sentence)
        for (topic, partition), seen in self.partitions.items():
            for offset in seen.offsets[seen.next :]:
                if not horizon.is_deleted(place := Place(topic, partition, offset)):
                    report.find(Invariant.SAME_SEQUENCE, f"{place} was seen by the witness and is not stored")


def read_witness(lines: Iterable[bytes], where: str) -> Witness:
    """The witness of a file. A last line without its end was cut by a kill and is passed over.

    TesseraError names a line that is none, and a file without any.
    """
    witness = Witness()
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            break
        try:
            seen = json.loads(line)
            witness.saw(str(seen["topic"]), int(seen["partition"]), int(seen["offset"]), _word(seen["sha256"]))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise TesseraError(
                f"{where}, line {number}: not a line of a witness; `tessera verify --record-witness FILE` writes them"
            ) from None
    if not witness.partitions:
        raise TesseraError(f"{where} has no record in it: the witness saw nothing, and proves nothing")
    return witness


def _word(digest: str) -> int:
    if len(digest) != DIGITS:
        raise ValueError
    return int(digest, 16)
