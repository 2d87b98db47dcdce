"""kill −9 of every stage in mid-run: exactly one terminal for each query all the same."""

import json
import uuid
from pathlib import Path

import pytest

from schemas.topics import CHARGED, GENERATED, SCORED, SETTLED, Topic
from tests.support.kafka_client import DEAD_LETTERS, Reader, of, produce
from tests.support.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

QUERIES = 1_500
DONE_BEFORE_THE_KILL = 150
STAGES: dict[str, Topic] = {"generation": GENERATED, "scoring": SCORED, "settlement": SETTLED}


def query(query_id: str) -> bytes:
    advertisers = [
        {"advertiser_id": name, "name": name, "description": "selling things", "value_micros_per_nat": 1_000}
        for name in ("alpha", "beta")
    ]
    body = {"query_id": query_id, "text": f"How do I do {query_id}?", "advertising_consent": True}
    body |= {"advertisers": advertisers}
    return json.dumps({**body, "parameters": {"candidates": 4, "max_tokens": 20}}).encode()


@pytest.mark.parametrize("victim", STAGES)
def test_workers_killed_and_restarted_lose_and_double_nothing(topics: str, tmp_path: Path, victim: str) -> None:
    run, output = uuid.uuid4().hex[:8], STAGES[victim]
    ids = [f"{victim}-{run}-{number}" for number in range(QUERIES)]
    workers = {stage: WorkerProcess([stage], topics, tmp_path / f"{stage}.log") for stage in STAGES}
    try:
        with Reader(topics) as reader:
            # Given stages in processes of their own, at work
            for worker in workers.values():
                worker.until_ready()
            produce(topics, [(id_.encode(), query(id_), ()) for id_ in ids])
            reader.until(lambda messages: len(of(messages, output.name)) >= DONE_BEFORE_THE_KILL)

            # When one of them dies in the middle, and is started again
            workers[victim].kill()
            reader.rest(quiet_s=1.0)
            done_at_the_kill = len(of(reader.messages, output.name))
            workers[victim] = WorkerProcess([victim], topics, tmp_path / f"{victim}.log")

            # Then each query has one reply with its charges, and nothing is doubled
            reader.until(lambda messages: len(of(messages, SETTLED.name)) >= QUERIES)
            reader.until(lambda messages: len(of(messages, CHARGED.name)) >= 2 * QUERIES)
            messages = reader.rest()
        assert DONE_BEFORE_THE_KILL <= done_at_the_kill < QUERIES, "the kill came too late to prove anything"
        settled = [json.loads(message.value()) for message in of(messages, SETTLED.name)]
        charges = [json.loads(message.value())["charge_id"] for message in of(messages, CHARGED.name)]
        assert sorted(reply["query_id"] for reply in settled) == sorted(ids)
        assert sorted(charges) == sorted(charge_id for reply in settled for charge_id in reply["charge_ids"])
        assert not of(messages, *DEAD_LETTERS)
    finally:
        codes = {stage: worker.stop() for stage, worker in workers.items()}
    assert set(codes.values()) == {0}
