"""Batches that no client library would send, on a real Kafka: each is its dead letter, and nothing behind it waits."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256

import pytest
from confluent_kafka import Message

from schemas.letter import DeadLetter
from schemas.topics import CHARGED, GENERATED, QUERIES, SCORED, SETTLED, Topic
from tests.integration.test_bad_input import GOOD
from tests.support.kafka_client import Reader, header, of
from tests.support.poisoned_batches import BATCHES, MEBIBYTE, TRACE, batch, produce_batches, raw_record, zstd_bomb
from tests.support.worker_process import WorkerProcess, tessera, worker
from workers.app.bus import bus_of
from workers.settings import Settings

pytestmark = pytest.mark.kafka

STAGES = ["generation", "scoring", "settlement", "incentives"]


@pytest.fixture(scope="module")
def process(topics: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    with worker(STAGES, topics, tmp_path_factory.mktemp("worker") / "log", candidates=4) as running:
        yield running


def sound(name: str) -> bytes:
    return json.dumps({**GOOD, "query_id": name}).encode()


def ids(messages: list[Message], topic: str) -> list[str]:
    return [json.loads(message.value())["query_id"] for message in of(messages, topic)]


def letters_of(kafka: str) -> list[DeadLetter]:
    """All letters about queries; the tests' own client cannot take a name of a header that is not UTF-8."""

    async def read() -> list[DeadLetter]:
        bus = bus_of(Settings.read(bootstrap_servers=kafka))
        return [DeadLetter(record) async for record in bus.stored([QUERIES.dead_letters])]

    return asyncio.run(read())


def test_every_poisoned_batch_becomes_a_dead_letter_and_the_queries_behind_it_settle(
    process: WorkerProcess, topics: str
) -> None:
    # Given every kind of poisoned batch in one partition, behind each a sound query, and ten at the end
    run = uuid.uuid4().hex[:8]
    good = {kind.name: [f"{run}-{number}-{one}" for one in range(kind.needs)] for number, kind in enumerate(BATCHES)}
    behind = [f"{run}-behind-{number}" for number in range(len(BATCHES) + 10)]
    written: list[bytes] = []
    for kind, name in zip(BATCHES, behind, strict=False):
        written += [kind.make([sound(one) for one in good[kind.name]]), batch([raw_record(sound(name))])]
    written += [batch([raw_record(sound(name))]) for name in behind[len(BATCHES) :]]
    expected = {*behind, *(name for kind in BATCHES for name in good[kind.name][: kind.answers])}

    # When they are produced
    with Reader(topics) as reader:
        offsets = [placed.offset for placed in produce_batches(topics, written)]
        reader.until(lambda messages: expected <= {*ids(messages, SETTLED.name)})
        messages = reader.rest(1.0)

    # Then each is what it has to be, and the process lives
    assert Counter(ids(messages, SETTLED.name)) == Counter(expected)
    letters: dict[str, list[DeadLetter]] = {kind.name: [] for kind in BATCHES}
    places = [at for offset in zip(offsets[::2], offsets[1::2], strict=True) for at in [range(*offset)]]
    for letter in letters_of(topics):
        for kind, place in zip(BATCHES, places, strict=False):
            if letter.source and letter.source.partition == 0 and letter.source.offset in place:
                letters[kind.name].append(letter)
    assert {name: Counter(letter.reason for letter in found) for name, found in letters.items()} == {
        kind.name: Counter({kind.reason.name: kind.letters} if kind.reason else {}) for kind in BATCHES
    }
    assert process.process.poll() is None

    # And a bomb's letter says how much there was; what cannot be unpacked is kept as it is stored
    (cut,) = letters["20 MiB in zstd"]
    assert (cut.headers["dlq.value.bytes"], cut.kept_bytes) == (str(20 * MEBIBYTE), len(cut.record.value or b""))
    assert cut.value_sha256 == sha256(b"a" * 20 * MEBIBYTE).digest()
    (packed,) = letters["700 MiB in zstd"]
    assert packed.is_whole
    assert (packed.record.value or b"")[61:] == zstd_bomb(700 * MEBIBYTE)[61:]
    (named,) = letters["the name of our own header not UTF-8"]
    assert [name.encode(errors="surrogateescape") for name, _ in named.original_headers] == [b"ce_caf\xe9"]

    # And headers of others travel along to the reply, byte for byte, but not to advertisers
    (traced,) = good["24 bytes of a tracing context"]
    for topic in (GENERATED.name, SCORED.name, SETTLED.name):
        (message,) = [one for one in of(messages, topic) if json.loads(one.value())["query_id"] == traced]
        assert dict(message.headers())["trace-bin"] == TRACE
    assert not [one for one in of(messages, CHARGED.name) if "trace-bin" in dict(one.headers())]

    # And whoever reads the topics is told, without a traceback; the broker holds what other tests broke on purpose, too
    ours = [*expected, *(f"{QUERIES.name}/0/{offset} " for offset in range(offsets[0], offsets[-1] + 1))]
    for command in (["verify", "--json", "--examples", "1000"], ["audit", "--json"]):
        outcome = tessera(*command, kafka=topics)
        assert outcome.returncode in (0, 1), (command, outcome.stderr[-2_000:])
        assert not [one for one in ours if one.encode() in outcome.stdout], command
        assert b"Traceback" not in outcome.stderr
    for command in (["dlq", "list"], ["dlq", "list", "--json"], ["explain", traced]):
        outcome = tessera(*command, kafka=topics)
        assert outcome.returncode == 0, (command, outcome.stdout[-2_000:], outcome.stderr[-2_000:])
        assert b"Traceback" not in outcome.stderr


@pytest.mark.parametrize("topic", [GENERATED, SCORED], ids=lambda topic: topic.name)
def test_a_decompression_bomb_on_a_stages_topic_is_a_dead_letter(
    process: WorkerProcess, topics: str, topic: Topic
) -> None:
    with Reader(topics) as reader:
        produce_batches(topics, [zstd_bomb(20 * MEBIBYTE), zstd_bomb(40 * MEBIBYTE)], topic.name)
        letters = of(reader.until(lambda messages: len(of(messages, topic.dead_letters)) == 2), topic.dead_letters)
        produce_batches(topics, [batch([raw_record(sound(uuid.uuid4().hex))])])
        reader.until(lambda messages: of(messages, SETTLED.name) != [])

    assert [header(letter, "dlq.reason") for letter in letters] == ["TOO_LARGE", "TOO_LARGE"]
    assert process.process.poll() is None
    for command in ("verify", "audit"):  # findings there may be: nobody but a stage should write there
        outcome = tessera(command, "--json", kafka=topics)
        assert outcome.returncode in (0, 1), outcome.stderr[-2_000:]
        assert b"Traceback" not in outcome.stderr
