"""`tessera dlq send`: one record becomes a dead letter by hand, and its stage goes on behind it."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Message

from schemas.topics import QUERIES, SETTLED
from tests.integration.test_bad_input import GOOD
from tests.support.kafka_client import Reader, header, of, until_no_transaction
from tests.support.poisoned_batches import MEBIBYTE, batch, produce_batches, raw_record, zstd_bomb
from tests.support.worker_process import tessera, worker
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stream.connection.clients import Clients
from workers.stream.offsets import Completion, read_completion

pytestmark = pytest.mark.kafka

GROUP = STAGES["generation"].group
PARTITION = 1


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "worker.log"


def sound(name: str) -> bytes:
    return batch([raw_record(json.dumps({**GOOD, "query_id": name}).encode())])


def standing(kafka: str) -> Completion:
    async def ask() -> Completion:
        async with Clients(Settings.read(bootstrap_servers=kafka)).cluster() as cluster:
            found = await cluster.retry(lambda: cluster.committed_with_metadata(GROUP, QUERIES.name, [PARTITION]))
            return read_completion(*found[PARTITION])

    return asyncio.run(ask())


def commit(kafka: str, completion: Completion) -> None:
    async def write() -> None:
        async with Clients(Settings.read(bootstrap_servers=kafka)).cluster() as cluster:
            await cluster.retry(lambda: cluster.commit(GROUP, QUERIES.name, {PARTITION: completion}))

    asyncio.run(write())


def send(kafka: str, offset: int) -> "tuple[int, str, str]":
    done = tessera("dlq", "send", f"{QUERIES.name}/{PARTITION}/{offset}", "--yes", kafka=kafka)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def settled(messages: list[Message]) -> list[str]:
    return [json.loads(message.value())["query_id"] for message in of(messages, SETTLED.name)]


def test_a_record_dead_lettered_by_hand_keeps_the_offsets_finished_out_of_order(topics: str, log: Path) -> None:
    # Given six records, of which nobody works; the fourth was finished early
    until_no_transaction(topics, [QUERIES.name])
    run = uuid.uuid4().hex[:8]
    names = [f"{run}-{number}" for number in range(6)]
    unreadable = zstd_bomb(40 * MEBIBYTE, [b"{}", b"{}"])
    with Reader(topics) as reader:
        with worker(["generation"], topics, log, candidates=4):
            pass  # whatever others left is worked on
        offsets = [placed.offset for placed in produce_batches(topics, map(sound, names), partition=PARTITION)]
        (bad,) = (placed.offset for placed in produce_batches(topics, [unreadable], partition=PARTITION))
        before = standing(topics)
        commit(topics, Completion(offsets[0], frozenset({offsets[3]}), 2))

        # When the third, the first, and the second are set aside, and one of the batch that nobody can read
        middle, first, second, batched = (send(topics, at) for at in (offsets[2], offsets[0], offsets[1], bad + 1))

        # Then each is said to be, and the group stands behind what is finished in one piece
        assert [middle[0], first[0], second[0], batched[0]] == [0, 0, 0, 0], (middle, first, second, batched)
        assert f"stands at offset {offsets[0]}; 2 beyond it are finished" in middle[1]
        assert f"goes on at offset {offsets[1]}; 2 beyond" in first[1]
        assert f"goes on at offset {offsets[4]}" in second[1]
        assert standing(topics) == Completion(offsets[4], frozenset({bad + 2}))
        assert before.base <= offsets[0]

        # And what is finished, not there, or of no stage is refused, and nothing moves
        for offset, words in ((offsets[3], "finished already"), (bad + 1_000, "holds no record")):
            code, _, said = send(topics, offset)
            assert (code, words in said) == (2, True), said
        assert b"no stage makes" in tessera("dlq", "send", "other/0/1", "--yes", kafka=topics).stderr

        # And a worker goes on with the rest, which gets its answers
        with worker(["generation", "scoring", "settlement"], topics, log, candidates=4):
            code, _, said = send(topics, bad)  # while it runs, it is refused
            assert (code, "has 1 running worker" in said) == (2, True), said
            reader.until(lambda messages: {*names[4:]} <= {*settled(messages)})
            messages = reader.rest(1.0)

    assert {*names} & {*settled(messages)} == {*names[4:]}
    letters = {
        int(header(letter, "dlq.offset")): letter
        for letter in of(messages, QUERIES.dead_letters)
        if header(letter, "dlq.reason") == "SET_ASIDE"
    }
    assert sorted(letters) == [*offsets[:3], bad + 2]
    assert letters[bad + 2].value()[61:] == unreadable[61:]
    assert header(letters[bad + 2], "dlq.batch.first_offset") == str(bad)
    assert json.loads(letters[offsets[1]].value())["query_id"] == names[1]
    place = f"{QUERIES.dead_letters}/0/{letters[bad + 2].offset()}"
    assert b"packed batch" in tessera("dlq", "redrive", place, "--yes", "--force", kafka=topics).stderr
