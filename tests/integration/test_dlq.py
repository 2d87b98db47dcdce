"""Dead letters on a real Kafka: listed, shown byte for byte, and redriven through stages that run."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.dead_letter import dead_letter
from schemas.reasons import DeadLetterReason as Reason
from schemas.record import Headers, Record
from schemas.topics import QUERIES, SCORED, SETTLED
from tests.cli.test_commands import refused
from tests.support.kafka_client import WAIT_S, Header, Reader, of, produce
from tests.support.worker_process import WorkerProcess, environment, tessera, worker

pytestmark = pytest.mark.kafka

ADVERTISER = {"advertiser_id": "a", "name": "A", "description": "selling things", "value_micros_per_nat": 1_000}
DLQ = QUERIES.dead_letters
WATCHED = (QUERIES.name, DLQ, SETTLED.name)
PASSED = "2020-01-01T00:00:00Z"


def query(query_id: str, **fields: object) -> bytes:
    asked = {"query_id": query_id, "text": "How?", "advertising_consent": True, "advertisers": [ADVERTISER]}
    return json.dumps({**asked, **fields}).encode()


def new_id() -> str:
    return f"dlq-{uuid.uuid4()}"


def put_letter(
    kafka: str, query_id: str, value: bytes, headers: Headers = (), reason: Reason = Reason.ENGINE_REJECTED
) -> str:
    """Write a dead letter as a stage does; its place."""
    letter = dead_letter(Record(QUERIES.name, query_id.encode(), value, headers), "generation", reason, "by hand")
    return put(kafka, letter.topic, letter.key, letter.value, letter.headers)


def put(kafka: str, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> str:
    places: list[str] = []
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(
        topic,
        key=key,
        value=value,
        headers=list(headers),
        on_delivery=lambda _, sent: places.append(f"{sent.topic()}/{sent.partition()}/{sent.offset()}"),
    )
    assert producer.flush(WAIT_S) == 0
    return places[0]


def refuse(kafka: str, query_id: str, value: bytes, headers: tuple[Header, ...] = ()) -> str:
    """Have the running stages refuse a record; the place of its letter."""
    with Reader(kafka, WATCHED) as reader:
        produce(kafka, [(query_id.encode(), value, headers)])
        (letter,) = keyed(reader.until(lambda messages: keyed(messages, query_id, DLQ) != []), query_id, DLQ)
    return f"{DLQ}/{letter.partition()}/{letter.offset()}"


def keyed(messages: list[Message], query_id: str, topic: str) -> list[Message]:
    return [message for message in of(messages, topic) if message.key() == query_id.encode()]


def has(query_id: str, topic: str) -> Callable[[list[Message]], bool]:
    return lambda messages: keyed(messages, query_id, topic) != []


def dlq(*arguments: str, kafka: str, given: bytes = b"") -> str:
    done = tessera("dlq", *arguments, kafka=kafka, given=given)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def listed(kafka: str, query_id: str, *options: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in dlq("list", "--json", *options, kafka=kafka).splitlines()]
    return [line for line in lines if line.get("subject") == query_id]


@pytest.fixture(scope="module")
def process(topics: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    log: Path = tmp_path_factory.mktemp("worker") / "log"
    with worker(["generation", "scoring", "settlement"], topics, log, candidates=4) as running:
        yield running


@pytest.mark.parametrize(
    "value", [b"How do I bake?", b'{"text":"\x00\xff\xfe"}\r\n', b""], ids=["text", "bytes", "none"]
)
def test_a_refused_record_is_listed_and_shown(
    process: WorkerProcess, topics: str, tmp_path: Path, value: bytes
) -> None:
    # Given a record that the running stages refused
    query_id, file = new_id(), tmp_path / "value"
    place = refuse(topics, query_id, value, (("x-from", b"a test"),))
    # When it is listed and shown
    (line,) = listed(topics, query_id, "--topic", DLQ, "--reason", "BAD_JSON", "--since", "10m")
    table = dlq("list", kafka=topics)
    shown = dlq("show", place, kafka=topics)
    dlq("show", place, "--value", str(file), kafka=topics)
    piped = tessera("dlq", "show", place, "--value", "-", "--json", kafka=topics).stdout
    # Then each says the same of it, and the bytes are those that were sent
    assert (line["id"], line["type"], line["dlqreason"], line["dlqtopic"]) == (place, DLQ, "BAD_JSON", QUERIES.name)
    assert json.loads(dlq("show", place, "--json", kafka=topics)) == line
    (row,) = [row for row in table.splitlines() if query_id in row]
    assert place in row and "BAD_JSON 1" in row and "generation" in row and f"{QUERIES.name}/" in row
    assert " BAD_JSON" in table.splitlines()[-1] and "dead letter" in table.splitlines()[-1]
    assert all(text in shown for text in (place, "BAD_JSON", query_id, "x-from", "a test", f"{len(value)} bytes"))
    assert file.read_bytes() == piped == value
    # And the worker's log says so, with its place and none of its text
    (told,) = [line for line in process.output().splitlines() if query_id in line]
    assert "became a dead letter: BAD_JSON" in told and "How do I bake" not in process.output()


def test_dead_letters_that_do_not_match_the_filter_are_not_listed(process: WorkerProcess, topics: str) -> None:
    query_id = new_id()
    put_letter(topics, query_id, query(query_id))

    assert listed(topics, query_id, "--reason", "ENGINE_REJECTED") != []
    assert listed(topics, query_id, "--reason", "BAD_KEY") == []
    assert listed(topics, query_id, "--since", "2999-01-01T00:00:00Z") == []
    assert listed(topics, query_id, "--topic", SCORED.dead_letters) == []
    assert [line["subject"] for line in listed(topics, query_id, "--limit", "1")] == [query_id]  # the newest


def test_a_redriven_query_is_settled(process: WorkerProcess, topics: str) -> None:
    # Given the dead letter of a query that nothing is wrong with
    query_id = new_id()
    value, headers = query(query_id), (("x-from", b"a test"), ("ce_id", b"mine"))
    place = put_letter(topics, query_id, value, headers)
    with Reader(topics, WATCHED) as reader:
        # When it is redriven
        (report,) = [json.loads(row) for row in dlq("redrive", place, "--yes", "--json", kafka=topics).splitlines()]
        messages = reader.until(has(query_id, SETTLED.name))
    # Then its record went out unchanged, but for two headers, and has a reply
    (record,) = keyed(messages, query_id, QUERIES.name)
    assert record.value() == value
    assert record.headers() == [*headers, ("dlq.redriven", place.encode()), ("dlq.redrives", b"1")]
    assert json.loads(keyed(messages, query_id, SETTLED.name)[0].value())["outcome"] == "sold"
    assert report == {
        "letter": place,
        "topic": QUERIES.name,
        "query_id": query_id,
        "reason": "ENGINE_REJECTED",
        "redrives": 1,
        "state": "redriven",
        "why": None,
    }


def interrupted(kafka: str, place: str) -> "subprocess.CompletedProcess[bytes]":
    """Ctrl-C at the question."""
    command = [sys.executable, "-m", "workers", "dlq", "redrive", place]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=environment(kafka), **pipes) as process:
        assert process.stderr is not None
        said = b""
        while b"publish?" not in said:
            more = process.stderr.read(1)
            assert more, said
            said += more
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, output, said + errors)


def test_a_redrive_publishes_nothing_until_it_is_confirmed(process: WorkerProcess, topics: str) -> None:
    query_id = new_id()
    place = put_letter(topics, query_id, query(query_id))
    with Reader(topics, WATCHED) as reader:
        # When one only looks, says no, says nothing, or interrupts
        dry = dlq("redrive", place, "--dry-run", kafka=topics)
        no, silence = (tessera("dlq", "redrive", place, kafka=topics, given=said) for said in (b"n\n", b""))
        broken_off = interrupted(topics, place)
        # Then each was told what would happen, and no record went out; the one that follows a yes is the only one
        assert dry == "1 record would be redriven\n"
        for done, code in ((no, 1), (silence, 2), (broken_off, 130)):
            assert (done.returncode, done.stdout.strip()) == (code, b"")
            assert f"1 record to {QUERIES.name}\npublish?".encode() in done.stderr and b"Traceback" not in done.stderr
        assert b"--yes" in silence.stderr
        assert dlq("redrive", place, kafka=topics, given=b"y\n").endswith("1 record redriven\n")
        messages = reader.until(has(query_id, SETTLED.name))
    assert len(keyed(messages, query_id, QUERIES.name)) == 1


@pytest.mark.parametrize(
    "headers", [(), (("ce_expirytime", PASSED.encode()),)], ids=["in the value", "in the envelope"]
)
def test_an_expired_query_expires_again(process: WorkerProcess, topics: str, headers: tuple[Header, ...]) -> None:
    # Given a query that states a deadline that has passed
    query_id = new_id()
    place = refuse(topics, query_id, query(query_id, **({} if headers else {"deadline": PASSED})), headers)
    # When it is redriven, and redriven by force
    plain = tessera("dlq", "redrive", place, "--yes", kafka=topics)
    with Reader(topics, WATCHED) as reader:
        dlq("redrive", place, "--yes", "--force", kafka=topics)
        messages = reader.until(has(query_id, DLQ))
    # Then the first is refused with that sentence, and the second comes back as a letter that names the first
    assert f"{place} is not redriven: the deadline that it states, {PASSED}, has passed: it would expire" in refused(
        plain
    )
    assert len(keyed(messages, query_id, QUERIES.name)) == 1
    first, again = listed(topics, query_id, "--reason", "EXPIRED")
    assert "dlqredriven" not in first
    assert (again["dlqredriven"], again["dlqredrives"]) == (place, "1")
    assert any(query_id in row and "once" in row for row in dlq("list", kafka=topics).splitlines())


def test_a_redrive_that_can_never_succeed_is_refused(process: WorkerProcess, topics: str) -> None:
    query_id = new_id()
    bad = refuse(topics, query_id, b"How?")
    good = put_letter(topics, query_id, query(query_id))

    with Reader(topics, WATCHED) as reader:
        line = refused(tessera("dlq", "redrive", good, bad, "--yes", kafka=topics))
        dlq("redrive", good, bad, "--yes", "--reason", "ENGINE_REJECTED", kafka=topics)
        messages = reader.until(has(query_id, SETTLED.name))

    assert f"{bad} is not redriven: BAD_JSON lies in its bytes" in line and line.endswith("see --force")
    assert len(keyed(messages, query_id, QUERIES.name)) == 1  # the good one is not sent along with what was refused


def test_redrive_all_leaves_out_dead_letters_that_cannot_succeed(process: WorkerProcess, topics: str) -> None:
    query_id = new_id()
    good = put_letter(topics, query_id, query(query_id))
    late = put_letter(topics, query_id, query(query_id, deadline=PASSED))
    stranger = put(topics, DLQ, query_id.encode(), b"{}", (("dlq.reason", b"ENGINE_REJECTED"),))
    choose = ("--all", "--reason", "ENGINE_REJECTED", "--dry-run", "--json")

    plain, forced = (
        {
            row["letter"]: row["state"]
            for row in map(json.loads, dlq("redrive", *choose, *more, kafka=topics).splitlines())
        }
        for more in ((), ("--force",))
    )

    done, out = "would be redriven", "left out"
    assert [plain[place] for place in (good, late, stranger)] == [done, out, out]
    assert [forced[place] for place in (good, late, stranger)] == [done, done, out]


def test_a_missing_dead_letter_is_reported_as_missing(topics: str) -> None:
    # Given letters of which Kafka has dropped the first
    record = Record(SCORED.name, b"q", b"{}")
    letter = dead_letter(record, "settlement", Reason.BAD_SCHEMA, "by hand")
    gone, kept = (put(topics, letter.topic, letter.key, letter.value, letter.headers) for _ in range(2))
    topic, partition, offset = kept.split("/")
    edge = TopicPartition(topic, int(partition), int(offset))
    admin = AdminClient({"bootstrap.servers": topics})  # held: its futures end with it
    (dropped,) = admin.delete_records([edge]).values()
    dropped.result(WAIT_S)
    # When they are asked for, and some that never were
    for place, says in (
        (gone, f"any more: the oldest that Kafka still keeps there is at offset {offset}"),
        (f"{topic}/0/999999", f"yet: the newest there is at offset {offset}"),
        (f"{topic}/99/0", f"partition 99 of {topic} holds none"),
    ):
        # Then one line says why they are not there
        assert says in refused(tessera("dlq", "show", place, kafka=topics))
        assert says in refused(tessera("dlq", "redrive", kept, place, "--yes", "--force", kafka=topics))
    assert kept in dlq("show", kept, kafka=topics)
