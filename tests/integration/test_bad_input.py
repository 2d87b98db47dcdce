"""Bad input on the query topic: one dead letter each, with its reason and its bytes intact; the worker goes on."""

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from confluent_kafka import Message

from schemas.reasons import DeadLetterReason as Reason
from schemas.topics import QUERIES, SETTLED
from tests.support.kafka_client import DEAD_LETTERS, Header, Reader, header, of, produce
from tests.support.worker_process import WorkerProcess, worker

pytestmark = pytest.mark.kafka

ADVERTISER = {"advertiser_id": "a", "name": "A", "description": "selling things", "value_micros_per_nat": 1_000}
GOOD = {"text": "How do I bake cookies?", "advertising_consent": True, "advertisers": [ADVERTISER]}


@dataclass(frozen=True)
class Bad:
    name: str
    value: bytes | None
    reason: Reason
    headers: tuple[Header, ...] = ()
    key: bytes | None = None


def changed(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def bidder(**fields: object) -> bytes:
    return changed(advertisers=[{**ADVERTISER, **fields}])


def many(count: int) -> list[dict[str, object]]:
    return [{**ADVERTISER, "advertiser_id": f"a{number}"} for number in range(count)]


CASES = [
    Bad("not JSON", b"How do I bake cookies?", Reason.BAD_JSON),
    Bad("truncated JSON", changed()[:-20], Reason.BAD_JSON),
    Bad("empty value", b"", Reason.BAD_JSON),
    Bad("no value", None, Reason.BAD_JSON),
    Bad("not UTF-8", b'{"text":"\xff\xfe"}', Reason.BAD_JSON),
    Bad("not an object", b'["text"]', Reason.BAD_SCHEMA),
    Bad("no text", b'{"advertisers":[]}', Reason.BAD_SCHEMA),
    Bad("wrong type", changed(text=42), Reason.BAD_SCHEMA),
    Bad("true for a number", bidder(value_micros_per_nat=True), Reason.BAD_SCHEMA),
    Bad("unknown field", changed(txet="?"), Reason.BAD_SCHEMA),
    Bad("text too long", changed(text="x" * 4_001), Reason.BAD_SCHEMA),
    Bad(
        "65 advertisers",
        changed(advertisers=many(65)),
        Reason.BAD_SCHEMA,
    ),
    Bad("invisible character in a name", bidder(name="Ac\u202eme"), Reason.BAD_SCHEMA),
    Bad("the same advertiser twice", changed(advertisers=[ADVERTISER, ADVERTISER]), Reason.BAD_SCHEMA),
    Bad("a deadline without an offset", changed(deadline="2030-01-01T00:00:00"), Reason.BAD_SCHEMA),
    Bad("NaN", changed(text="?").replace(b"1000", b"NaN"), Reason.BAD_NUMBER),
    Bad("infinite", changed(text="?").replace(b"1000", b"1e999"), Reason.BAD_NUMBER),
    Bad("a negative value", bidder(value_micros_per_nat=-1), Reason.BAD_NUMBER),
    Bad("257 candidates", changed(parameters={"candidates": 257}), Reason.BAD_NUMBER),
    Bad("10 MB", changed(text="y" * 10_000_000), Reason.TOO_LARGE),
    Bad("deadline passed", changed(deadline="2020-01-01T00:00:00Z"), Reason.EXPIRED),
    Bad("deadline passed, in the envelope", changed(), Reason.EXPIRED, (("ce_expirytime", b"2020-01-01T00:00:00Z"),)),
    Bad("an attribute that is not UTF-8", changed(), Reason.BAD_HEADERS, (("ce_trace", b"\xff\xfe"),)),
    Bad("an event of another type", changed(), Reason.BAD_HEADERS, (("ce_type", b"order.placed"),)),
    Bad("a time that is none", changed(), Reason.BAD_HEADERS, (("ce_time", b"yesterday"),)),
    Bad("a deadline outside the calendar", changed(deadline="9999-12-31T23:59:59-23:59"), Reason.BAD_SCHEMA),
    Bad(
        "an expiry outside the calendar",
        changed(),
        Reason.BAD_HEADERS,
        (("ce_expirytime", b"9999-12-31T23:59:59-23:59"),),
    ),
    Bad("the key of another query", changed(query_id="one"), Reason.BAD_KEY, key=b"two"),
    Bad("a key that is no id", changed(), Reason.BAD_KEY, key=b"\xff"),
]


def letters(messages: Iterable[Message], case: Bad) -> list[Message]:
    """The dead letters with the key and the bytes of this case; other tests' leftovers may lie between them."""
    found = of(messages, *DEAD_LETTERS)
    return [letter for letter in found if (letter.key(), letter.value() or b"") == (case.key, case.value or b"")]


@pytest.fixture(scope="module")
def process(topics: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    log: Path = tmp_path_factory.mktemp("worker") / "log"
    with worker(["generation", "scoring", "settlement"], topics, log, candidates=4) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_record_is_one_dead_letter_and_the_worker_goes_on(process: WorkerProcess, topics: str, case: Bad) -> None:
    # Given a bad record, and a good query behind it
    good_id = f"good-{uuid.uuid4()}"
    good = json.dumps({**GOOD, "query_id": good_id}).encode()
    with Reader(topics) as reader:
        # When both are produced
        produce(topics, [(case.key, case.value, case.headers)])
        reader.until(lambda messages: letters(messages, case) != [])
        produce(topics, [(good_id.encode(), good, ())])
        reader.until(lambda messages: any(message.key() == good_id.encode() for message in of(messages, SETTLED.name)))
        messages = reader.messages

    # Then the bad one is one dead letter, untouched, and says why; the good one is settled by the same process
    (letter,) = letters(messages, case)
    assert letter.topic() == QUERIES.dead_letters
    assert (header(letter, "dlq.reason"), header(letter, "dlq.code")) == (case.reason.name, str(int(case.reason)))
    assert header(letter, "dlq.value.sha256") == sha256(case.value or b"").hexdigest()
    assert header(letter, "dlq.message")
    assert [pair for pair in letter.headers() if not pair[0].startswith("dlq.")] == list(case.headers)
    assert [message.key() for message in of(messages, SETTLED.name)] == [good_id.encode()]
    assert process.process.poll() is None


def test_a_json_value_without_key_and_headers_is_a_query(process: WorkerProcess, topics: str) -> None:
    with Reader(topics) as reader:
        produce(topics, [(None, changed(), ())])
        (settled,) = of(reader.until(lambda messages: of(messages, SETTLED.name) != []), SETTLED.name)

    reply = json.loads(settled.value())
    assert reply["outcome"] == "sold"
    assert settled.key().decode() == reply["query_id"]
