"""Query ids that are used twice while settlement is killed: one auction's reply and bills for each, never two."""

import json
import random
import re
import time
import urllib.request
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from schemas.topics import CHARGED, SCORED, SETTLED, SETTLED_QUERIES
from tests.integration.test_kill import query
from tests.support.kafka_client import DEAD_LETTERS, EVERYTHING, Reader, header, of, produce
from tests.support.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

IDS = 600
DONE_BEFORE_THE_KILL = 150
AGAIN = 50
COUNTER = re.compile(r'^auction_dead_letters_total\{reason="DUPLICATE_QUERY",stage="settlement"\} (\S+)$', re.MULTILINE)


def values(messages: Iterable[Message], topic: str) -> list[dict[str, Any]]:
    return [json.loads(message.value()) for message in of(messages, topic)]


def asked(ids: Iterable[str]) -> list[tuple[bytes, bytes, tuple[()]]]:
    return [(id_.encode(), query(id_), ()) for id_ in ids]


def refusals_counted(worker: WorkerProcess) -> int:
    with urllib.request.urlopen(f"{worker.url()}/metrics", timeout=5) as answer:  # noqa: S310  # our own worker on loopback
        (found,) = COUNTER.findall(answer.read().decode())
    return int(float(found))


def test_settlement_killed_between_two_uses_of_an_id_settles_it_once(topics: str, tmp_path: Path) -> None:
    run = uuid.uuid4().hex[:8]
    ids = [f"twice-{run}-{number}" for number in range(IDS)]
    # every other id twice in a row, in one transaction most likely; the others' second use comes at the end
    first = [id_ for number, id_ in enumerate(ids) for _ in range(1 + number % 2)]
    later = random.Random(run).sample(ids[::2], len(ids[::2]))
    before = WorkerProcess(["generation", "scoring"], topics, tmp_path / "before.log")
    settlement = WorkerProcess(["settlement"], topics, tmp_path / "settlement.log")
    try:
        with Reader(topics, (*EVERYTHING, SETTLED_QUERIES.name)) as reader:
            for worker in (before, settlement):
                worker.until_ready()
            # Given a settlement at work on ids that are used twice
            produce(topics, asked([*first, *later]))
            reader.until(lambda messages: len(of(messages, SETTLED.name)) >= DONE_BEFORE_THE_KILL)

            # When it dies, and is started again
            settlement.kill()
            reader.rest(quiet_s=1.0)
            settled_then = {reply["query_id"] for reply in values(reader.messages, SETTLED.name)}
            # what it committed may be hidden yet, behind a transaction left open: it is told by its time
            started_again_ms = time.time() * 1000
            settlement = WorkerProcess(["settlement"], topics, tmp_path / "settlement.log").until_ready()
            reader.until(lambda messages: len(of(messages, *DEAD_LETTERS)) >= IDS)

            # and ids that were settled before the kill are used once more
            produce(topics, asked(sorted(settled_then)[:AGAIN]))
            reader.until(lambda messages: len(of(messages, *DEAD_LETTERS)) >= IDS + AGAIN)
            messages = reader.rest()
            counted = refusals_counted(settlement)
    finally:
        codes = {worker.stop() for worker in (before, settlement)}

    assert DONE_BEFORE_THE_KILL <= len(settled_then) < IDS, "the kill came too late to prove anything"
    assert settled_then & set(later), "no id was used before the kill and again after it"
    # Then each id has the reply and the bills of its first auction, and nothing is doubled
    replies = values(messages, SETTLED.name)
    auctions: dict[str, list[str]] = {}
    for scored in values(messages, SCORED.name):
        auctions.setdefault(scored["query_id"], []).append(scored["auction_id"])
    assert {reply["query_id"]: reply["auction_id"] for reply in replies} == {id_: auctions[id_][0] for id_ in ids}
    assert len(replies) == IDS
    bills = [bill["charge_id"] for bill in values(messages, CHARGED.name)]
    assert sorted(bills) == sorted(charge_id for reply in replies for charge_id in reply["charge_ids"])
    # and each later auction is one dead letter, which the metrics count
    letters = of(messages, *DEAD_LETTERS)
    assert {(letter.topic(), header(letter, "dlq.reason")) for letter in letters} == {
        (SCORED.dead_letters, "DUPLICATE_QUERY")
    }
    refused = sorted(json.loads(letter.value())["auction_id"] for letter in letters)
    assert refused == sorted(auction for each in auctions.values() for auction in each[1:])
    assert counted == sum(letter.timestamp()[1] >= started_again_ms for letter in letters)
    # and the memory names the auction that counts
    memory = values(messages, SETTLED_QUERIES.name)
    assert sorted((one["query_id"], one["auction_id"]) for one in memory) == sorted(
        (reply["query_id"], reply["auction_id"]) for reply in replies
    )
    assert codes == {0}
