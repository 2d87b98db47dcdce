"""A query that ends every process that works on it becomes a dead letter after a few of them; the rest is settled."""

import json
import signal
from pathlib import Path

import pytest

from schemas.topics import QUERIES, SETTLED
from tests.integration.deadly_worker import WORD
from tests.support.builders import make_query
from tests.support.kafka_client import Reader, counts, header, of, produce
from tests.support.worker_process import WorkerProcess, tessera
from workers.stream.partition.crash_count import MOST_DEATHS

pytestmark = pytest.mark.kafka

GOOD = 12
OF_OTHERS = 2  # deaths that may have been an earlier record's
LIVES = MOST_DEATHS + OF_OTHERS + 1
DEADLY = "tests.integration.deadly_worker"


def test_a_record_that_crashes_its_worker_is_dead_lettered_after_a_few_crashes(topics: str, tmp_path: Path) -> None:
    # Given good queries, and among them one that kills, all of them stored before the worker starts
    with Reader(topics) as reader:
        events = [make_query(query_id=f"crash-loop-{number}") for number in range(GOOD)]
        deadly = make_query(query_id="crash-loop-deadly", text=f"a {WORD} question")
        records = [event.to_record() for event in (*events[:5], deadly, *events[5:])]
        produce(topics, [(record.key, record.value, record.headers) for record in records])

        # When the worker is started again each time it dies
        ends, others = [], WorkerProcess(["scoring", "settlement"], topics, tmp_path / "others.log")
        generation = None
        try:
            while len(ends) < LIVES:
                log = tmp_path / f"generation-{len(ends)}.log"
                generation = WorkerProcess(["generation"], topics, log, module=DEADLY, instance="one")
                process = generation.process
                reader.until(lambda messages, process=process: finished(messages) or process.poll() is not None)  # type: ignore[misc]
                if finished(reader.messages):
                    break
                ends.append(generation.process.wait())
            messages = reader.rest()
        finally:
            codes = [process.stop() for process in (others, generation) if process is not None]

    # Then it ended a few processes, and everything else its reply
    assert set(ends) == {-signal.SIGKILL}
    assert MOST_DEATHS <= len(ends) <= MOST_DEATHS + OF_OTHERS
    letters = of(messages, QUERIES.dead_letters)
    assert [header(letter, "dlq.reason") for letter in letters] == ["CRASHED_WORKER"]
    assert letters[0].value() == records[5].value
    settled = [json.loads(message.value())["query_id"] for message in of(messages, SETTLED.name)]
    assert sorted(settled) == sorted(event.subject for event in events)
    assert codes == [0, 0]

    # And what was left behind is in order: no deaths remembered, nothing early
    rows = [json.loads(line) for line in tessera("offsets", "show", "--json", kafka=topics).stdout.splitlines()]
    assert {(row["early"], row["deaths"], row["deleted"]) for row in rows if row["group"] != "auction.incentives"} == {
        (0, 0, 0)
    }


def finished(messages: list) -> bool:  # type: ignore[type-arg]
    found = counts(messages)
    return found.get(SETTLED.name, 0) >= GOOD and found.get(QUERIES.dead_letters, 0) >= 1
