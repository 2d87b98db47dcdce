"""Dead letters as workers once wrote them, to the byte: readers keep reading them, and the code still writes the same.

`samples/dead_letters/v1.jsonl` has one a line, by name; it is never written again. A header that is added later gets a
further file. Bytes that are not UTF-8 are lone surrogates there, and one byte repeated is [that byte, how often].
"""

import ast
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.dead_letter import Header, dead_letter
from schemas.letter import DeadLetter, Place, redriven
from schemas.publish import PUBLISHED
from schemas.reasons import DeadLetterReason as Reason
from schemas.record import NAME_ERRORS, Headers, Outgoing, Record
from schemas.topics import GENERATED, QUERIES, SCORED
from workers.stream.wire.batches import FetchedBatches
from workers.stream.wire.raw_records import _too_many

ROOT = Path(__file__).parent.parent.parent
SAMPLES = Path(__file__).parent / "samples" / "dead_letters"
FOREIGN: Headers = (("traceparent", b"00-1"), ("dlq.reason", b"forged"), ("caf\udce9", b"\xff"), ("none", None))
LARGE = 70 * 1024


def refused_query(value: bytes | None = b"{", key: bytes | None = b"q-1", headers: Headers = ()) -> Record:
    return Record(QUERIES.name, key, value, headers, 3, 17, 1_764_374_400_123, stamped_by_broker=True)


def damaged() -> Record:
    """A batch whose checksum is wrong, as the reader hands it on."""
    answer = struct.pack(">qiibI", 40, 49, 0, 2, 7) + struct.pack(">hi", 0, 2) + bytes(30) + struct.pack(">i", 3)
    (read,) = list(FetchedBatches(answer).next_batch())  # type: ignore[arg-type]  # there is one
    return replace(refused_query(read.value, None), offset=read.offset, flaw=read.checksum)


def redriven_before() -> Record:
    """A record that was a dead letter, was sent through again and is refused again."""
    letter = dead_letter(refused_query(headers=FOREIGN[:1]), "generation", Reason.ENGINE_REJECTED, "the engine: no")
    return redriven_from(letter)


def redriven_from(letter: Outgoing) -> Record:
    out = redriven(DeadLetter(Record(letter.topic, letter.key, letter.value, letter.headers, 1, 5, 1_764_374_401_000)))
    return Record(out.topic, out.key, out.value, out.headers, 0, 23, 1_764_374_402_000)


#: name -> the refused record, the stage, why, the message, and the most bytes of the letter
REFUSED: dict[str, tuple[Record, str, Reason, str, int]] = {
    "whole": (refused_query(headers=FOREIGN), "generation", Reason.BAD_JSON, "the value is not JSON: café", 1 << 20),
    "empty": (
        Record(SCORED.name, None, None, (), 0, 0, -1),
        "settlement",
        Reason.SET_ASIDE,
        "put here by hand",
        1 << 20,
    ),
    "value cut": (refused_query(b"v" * LARGE), "generation", Reason.TOO_LARGE, "too large", LARGE),
    "key and headers cut": (
        refused_query(None, b"k" * LARGE, (("h", b"x" * LARGE), ("i", b"y"))),
        "scoring",
        Reason.TOO_LARGE,
        "m" * 2_000,
        LARGE,
    ),
    "redriven": (redriven_before(), "generation", Reason.EXPIRED, "the deadline has passed", 1 << 20),
    "damaged batch": (damaged(), "generation", Reason.UNREADABLE, "put here by hand; damaged", 1 << 20),
    "too many headers": (
        replace(refused_query(), flaw=_too_many(1_500, 34_567)),
        "generation",
        Reason.BAD_HEADERS,
        "the record has 1,500 headers",
        1 << 20,
    ),
    "later stage": (
        Record(GENERATED.name, b"q-1", b"{}", (("ce_id", b"e"),), 2, 9, 1_764_374_400_123),
        "scoring",
        Reason.CRASHED_WORKER,
        "3 processes in a row ended while they worked on it",
        1 << 20,
    ),
}


def written(name: str) -> Outgoing:
    record, stage, reason, message, most = REFUSED[name]
    return dead_letter(record, stage, reason, message, most)


def packed(content: bytes | None) -> Any:
    if content and len(content) > 1_000 and content == content[:1] * len(content):
        return [content[:1].decode(), len(content)]
    return None if content is None else content.decode(errors=NAME_ERRORS)


def unpacked(said: Any) -> bytes | None:
    text = said[0] * said[1] if isinstance(said, list) else said
    return None if text is None else text.encode(errors=NAME_ERRORS)


def to_sample(name: str, letter: Outgoing) -> str:
    headers = [[header, packed(value)] for header, value in letter.headers]
    return json.dumps([name, letter.topic, packed(letter.key), packed(letter.value), headers])


def from_sample(line: str) -> tuple[str, Outgoing]:
    name, topic, key, value, headers = json.loads(line)
    pairs = tuple((header, unpacked(content)) for header, content in headers)
    return name, Outgoing(topic, unpacked(key), unpacked(value), pairs)


ARCHIVED = dict(from_sample(line) for line in (SAMPLES / "v1.jsonl").read_text(encoding="utf-8").splitlines())
DOCUMENT = Draft202012Validator(json.loads((PUBLISHED / "dead_letter.v1.schema.json").read_text(encoding="utf-8")))


def stored(letter: Outgoing) -> DeadLetter:
    return DeadLetter(Record(letter.topic, letter.key, letter.value, letter.headers, 0, 1))


def test_every_kind_of_letter_has_a_sample() -> None:
    assert set(ARCHIVED) == set(REFUSED)


@pytest.mark.parametrize("name", ARCHIVED)
def test_a_letter_is_written_to_the_byte_as_it_was(name: str) -> None:
    assert written(name) == ARCHIVED[name]


@pytest.mark.parametrize("name", ARCHIVED)
def test_the_headers_of_a_letter_are_those_of_the_published_schema(name: str) -> None:
    headers = stored(ARCHIVED[name]).headers

    DOCUMENT.validate({str(header): text for header, text in headers.items()})
    assert not DOCUMENT.is_valid({**headers, "dlq.offset": "seven"})
    assert not DOCUMENT.is_valid({header: text for header, text in headers.items() if header != "dlq.reason"})


@pytest.mark.parametrize("name", ARCHIVED)
def test_an_archived_letter_reads_back_as_what_was_refused(name: str) -> None:
    record, stage, reason, message, _ = REFUSED[name]
    letter = stored(ARCHIVED[name])

    assert (letter.stage, letter.reason, letter.code) == (stage, reason.name, str(int(reason)))
    assert letter.message == message[:1_000]
    assert letter.source == Place(record.topic, record.partition, record.offset)
    assert letter.is_cut == (name in ("value cut", "key and headers cut", "too many headers"))
    assert letter.is_batch == (name == "damaged batch")
    assert letter.is_whole == (name not in ("value cut",))


def literals(path: Path) -> Iterator[str]:
    """Strings in a file that name a header of dead letters; docstrings are prose."""
    attributes = {header.attribute for header in Header}
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    prose = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            if re.search(r"\bdlq\.[a-z]", node.value) or node.value in attributes:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.value!r}"


def test_no_other_file_spells_a_header_of_dead_letters() -> None:
    home = ROOT / "schemas" / "dead_letter.py"
    files = [path for folder in ("schemas", "workers", "infra") for path in (ROOT / folder).rglob("*.py")]

    assert len(list(literals(home))) >= len(Header)  # it finds them where they are
    assert not [found for path in files if path != home for found in literals(path)]


def test_a_letter_says_where_its_record_was_redriven_from() -> None:
    letter = stored(ARCHIVED["redriven"])
    assert (letter.redriven, letter.redrives) == (f"{QUERIES.dead_letters}/1/5", 1)
