"""`tessera verify` on a real Kafka of its own: a run with poison and an abort holds, and a doubled reply is found."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.topics import SCORED, SETTLED
from tests.audit.campaign_log import Asked, asked, plan_lines, query
from tests.support.kafka_client import DEAD_LETTERS, WAIT_S, Reader, of, produce
from tests.support.own_node import started
from tests.support.worker_process import environment, tessera, worker
from workers.devkafka import DevelopmentBroker
from workers.pipeline import GROUPS, PATH
from workers.settings import Settings
from workers.stream.admin.first_offsets import initialise_offsets
from workers.stream.admin.topics import create_topics

pytestmark = pytest.mark.kafka

POISON = 20


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevelopmentBroker]:
    """A broker that holds nothing else: an invariant of the whole log does not share one with other tests."""
    broker = DevelopmentBroker(tmp_path_factory.mktemp("verified"), note=print)

    async def create() -> None:
        settings = Settings.read(bootstrap_servers=broker.bootstrap_servers)
        await create_topics(settings)
        await initialise_offsets(settings, GROUPS)

    with started(broker):
        with asyncio.Runner() as runner:
            runner.run(create())
        yield broker


@contextmanager
def witness(kafka: str, path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A witness that has begun to read; it is ended with SIGTERM."""
    command = [sys.executable, "-m", "workers", "verify", "--record-witness", str(path)]
    with subprocess.Popen(command, env=environment(kafka), stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            assert b"witnessing Kafka" in process.stderr.readline()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
    assert code == 0


def abort(kafka: str, topic: str) -> None:
    """A record that is written and never committed."""
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": "interrupted"})
    producer.init_transactions(WAIT_S)
    producer.begin_transaction()
    producer.produce(topic, b"aborted")
    producer.flush(WAIT_S)
    producer.abort_transaction(WAIT_S)


def double(kafka: str, topic: str, key: bytes, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(topic, value, key=key)
    assert producer.flush(WAIT_S) == 0


def queries() -> list[Asked]:
    poison = [(f"poison-{number}".encode(), b"poison %d" % number, "BAD_JSON") for number in range(POISON)]
    many = [(f"many-{number}".encode(), query(f"many-{number}"), "settled") for number in range(100)]
    return [*asked(), *poison, *many]  # type: ignore[list-item]


def wrote(path: Path, lines: Sequence[bytes]) -> str:
    path.write_bytes(b"".join(lines))
    return str(path)


def resource_lines() -> list[bytes]:
    return [
        json.dumps({"t_s": t, "process": "settlement", "rss_mib": 80.0, "fds": 30}).encode() + b"\n" for t in range(60)
    ]


def verdict(done: "subprocess.CompletedProcess[bytes]") -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
    *rows, summary = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["invariant"]: row for row in rows}, summary


def test_verify_finds_nothing_after_poison_and_an_aborted_transaction(
    own_broker: DevelopmentBroker, tmp_path: Path
) -> None:
    # Given a run with poison, an aborted record, a witness and a broker that dies
    seen, own_kafka, half = tmp_path / "witness.jsonl", own_broker.bootstrap_servers, len(queries()) // 2
    with witness(own_kafka, seen), worker(PATH, own_kafka, tmp_path / "log"), Reader(own_kafka) as reader:
        abort(own_kafka, SCORED.name)
        produce(own_kafka, [(key, value, ()) for key, value, _ in queries()[:half]])
        reader.until(lambda messages: of(messages, SETTLED.name) != [])
        own_broker.kill()
        own_broker.start()
        produce(own_kafka, [(key, value, ()) for key, value, _ in queries()[half:]])
        reader.until(lambda messages: len(of(messages, SETTLED.name, *DEAD_LETTERS)) >= len(queries()))
        until(lambda: len(seen.read_bytes().splitlines()) >= 4 * len(queries()))
        reply = of(reader.rest(), SETTLED.name)[0]
        available = tessera("verify", kafka=own_kafka)
    files = [
        *("--plan", wrote(tmp_path / "plan.jsonl", plan_lines(queries()))),
        *("--faults", wrote(tmp_path / "faults.json", [b'{"abort": {"planned": 1, "happened": 1}}'])),
        *("--witness", str(seen)),
        *("--resources", wrote(tmp_path / "resources.jsonl", resource_lines())),
    ]
    # When it is verified
    done = tessera("verify", "--complete", "--expect-aborts", *files, "--json", kafka=own_kafka)

    # Then everything is checked but the ledger, and holds
    rows, summary = verdict(done)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert (summary["broken"], summary["not_checked"]) == ([], [5])
    assert rows[1]["counts"] == {"settled": 108, "refused": 5 + POISON, "under way": 0, "lost": 0}
    assert rows[8]["counts"][SCORED.name] == 1
    assert rows[7]["counts"]["compared with the witness"] > 4 * 108
    assert available.returncode == 0 and "nothing is broken; not checked: 5, 8, 10, 11" in available.stdout.decode()

    # and so does the part that was taken since yesterday, which is all of it
    part = tessera("verify", "--from", str(datetime.now(UTC) - timedelta(days=1)), "--json", kafka=own_kafka)
    rows, summary = verdict(part)
    assert (part.returncode, summary["broken"], rows[1]["counts"]["settled"]) == (0, [], 108)

    # And when a reply is there twice, that is what is broken
    double(own_kafka, SETTLED.name, reply.key(), reply.value())
    lied = tessera("verify", "--complete", "--json", kafka=own_kafka)
    assert (lied.returncode, verdict(lied)[1]["broken"]) == (1, [2])

    # and when a query is left that nobody reads
    produce(own_kafka, [(b"unread", query("unread"), ())])
    unread = tessera("verify", "--complete", "--healed-within", "1", "--json", kafka=own_kafka)
    assert (unread.returncode, verdict(unread)[1]["broken"]) == (1, [1, 2, 11])


def until(happened: Any, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)
