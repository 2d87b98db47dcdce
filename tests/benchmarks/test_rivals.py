"""Our settlement stage, Quix Streams and Faust on the same scored topic, with the same work and commit sizes.

The first run makes two virtual environments under the cache folder. infra/performance/exactly-once.md has the figures.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from schemas.topics import CHARGED, SCORED, SETTLED
from tests.benchmarks.auctions import scored_auctions
from tests.benchmarks.report import report
from tests.benchmarks.rivals.contenders import CONTENDERS, Contender, Run, running
from tests.benchmarks.rivals.environments import REQUIREMENTS, python_of
from tests.benchmarks.stages import cpu_s, prepare
from tests.kafka_client import Reader, until_no_transaction
from workers.stream.broker import DevelopmentBroker

pytestmark = [pytest.mark.benchmark, pytest.mark.kafka]

PARTITIONS = 4
RECORDS = 3_000
COMMITS = {1: 300, 10: 2_000, 100: RECORDS}  # records a commit: how many records of the topic are waited for
CRASH_COMMIT = 100
FIRST_S, LIMIT_S = 60.0, 120.0
QUIET_S = 3.0
GROUP_EMPTY_S = 30.0
POLL_S = 0.05


@dataclass
class Watch:
    """What a reader of committed replies sees of one process."""

    reader: Reader
    process: "Popen[bytes]"

    @property
    def replies(self) -> int:
        return len({message.key() for message in self.reader.messages})

    def until(self, replies: int, within_s: float) -> bool:
        """Whether so many different replies are there in time; False also when the process ends."""
        deadline = time.monotonic() + within_s
        while self.replies < replies and time.monotonic() < deadline and self.process.poll() is None:
            self.reader.poll(POLL_S)
        return self.replies >= replies


async def test_rivals(own_broker: DevelopmentBroker, tmp_path: Path) -> None:
    kafka = own_broker.bootstrap_servers
    await prepare(kafka, PARTITIONS)
    await fill(kafka)
    for name in REQUIREMENTS:
        python_of(name)
    speed(CONTENDERS[0], run_of(CONTENDERS[0], kafka, CRASH_COMMIT, tmp_path))  # the broker's own warm-up
    report(
        "rivals",
        [
            speed(contender, run_of(contender, kafka, commit, tmp_path))
            for commit in COMMITS
            for contender in CONTENDERS
        ],
    )
    report(
        "rivals-crash",
        [crash(contender, run_of(contender, kafka, CRASH_COMMIT, tmp_path)) for contender in CONTENDERS],
    )


async def fill(kafka: str) -> None:
    """RECORDS scored events of as many queries."""
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random", "linger.ms": 5})
    for event in await scored_auctions(RECORDS):
        record = event.to_record()
        producer.produce(record.topic, key=record.key, value=record.value, headers=list(record.headers))
        producer.poll(0)
    assert producer.flush(60) == 0


def run_of(contender: Contender, kafka: str, commit: int, folder: Path) -> Run:
    """A run that begins at the topic's first record."""
    group = contender.group or f"rival-{uuid.uuid4().hex[:8]}"
    deadline = time.monotonic() + GROUP_EMPTY_S
    until_no_transaction(kafka, (SETTLED.name, CHARGED.name))
    while not rewound(kafka, group):
        assert time.monotonic() < deadline, f"the group {group} has members for {GROUP_EMPTY_S:g} s"
        time.sleep(POLL_S)
    return Run(kafka, group, commit, folder)


def rewound(kafka: str, group: str) -> bool:
    """Whether the group is at the first record now; not while the member of the last run is remembered."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group})
    try:
        consumer.commit(
            offsets=[TopicPartition(SCORED.name, number, 0) for number in range(PARTITIONS)], asynchronous=False
        )
    except KafkaException:
        return False
    finally:
        consumer.close()
    return True


def speed(contender: Contender, run: Run) -> dict[str, object]:
    """Replies a second and CPU of each, from the first tenth on."""
    wanted = COMMITS[run.commit]
    row: dict[str, object] = {"contender": contender.name, "records a commit": run.commit}
    with Reader(run.kafka, (SETTLED.name,)) as reader, running(contender, run) as process:
        watch = Watch(reader, process)
        if not watch.until(wanted // 10, FIRST_S):
            return row | {"replies/s": ended(process, run), "CPU, µs each": "-"}
        first, began, used = watch.replies, time.perf_counter(), cpu_s(psutil.Process(process.pid))
        if not watch.until(wanted, LIMIT_S):
            return row | {"replies/s": f"{watch.replies} of {wanted} in time", "CPU, µs each": "-"}
        each, seconds = watch.replies - first, time.perf_counter() - began
        cpu = cpu_s(psutil.Process(process.pid)) - used
    return row | {"replies/s": each / seconds, "CPU, µs each": 1e6 * cpu / each}


def crash(contender: Contender, run: Run) -> dict[str, object]:
    """The process is killed when it has settled a third, and started again at once."""
    with Reader(run.kafka, (SETTLED.name,)) as reader:
        with running(contender, run) as process:
            if not Watch(reader, process).until(RECORDS // 3, FIRST_S):
                return {"contender": contender.name, "stall, s": ended(process, run), "lost": "-", "twice": "-"}
            process.kill()
            process.wait()
        reader.rest(0.3)
        before, killed = len({message.key() for message in reader.messages}), time.perf_counter()
        with running(contender, run) as process:
            watch = Watch(reader, process)
            watch.until(before + 1, LIMIT_S)
            stall_s = time.perf_counter() - killed
            watch.until(RECORDS, LIMIT_S)
            messages = reader.rest(QUIET_S)
    found = {message.key() for message in messages}
    return {
        "contender": contender.name,
        "stall, s": stall_s,
        "lost": RECORDS - len(found),
        "twice": len(messages) - len(found),
    }


def ended(process: "Popen[bytes]", run: Run) -> str:
    """Why nothing came: the last line the process wrote."""
    log = run.folder / f"{run.group}.log"
    lines: Sequence[str] = log.read_text(errors="replace").strip().splitlines() if log.exists() else ()
    state = "runs without a reply" if process.poll() is None else f"ended with {process.poll()}"
    return f"{state}: {lines[-1][:200] if lines else 'nothing said'}"
