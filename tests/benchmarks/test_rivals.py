"""Our settlement stage, Quix Streams and Faust on the same scored topic, with the same work and commit sizes.

The first run makes two virtual environments under the cache folder; the short form does without them and runs ours
alone. infra/performance/exactly-once.md has the figures.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.topics import CHARGED, SCORED, SETTLED
from tests.benchmarks.auctions import renamed, scored_auctions
from tests.benchmarks.report import Scale
from tests.benchmarks.rivals.contenders import CONTENDERS, Contender, Run, running
from tests.benchmarks.rivals.environments import REQUIREMENTS, python_of
from tests.benchmarks.stages import cpu_s, prepare
from tests.support.kafka_client import Reader, produce, until_no_transaction
from workers.devkafka import DevelopmentBroker

pytestmark = pytest.mark.kafka

PARTITIONS = 4
RECORDS = 3_000
COMMITS = {1: 300, 10: 2_000, 100: RECORDS}  # records a commit: how many records of a run are waited for
CRASH_COMMIT = 100
SHORT_COMMITS = {10: 60}
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


async def test_rivals(scale: Scale, own_broker: DevelopmentBroker, tmp_path: Path) -> None:
    kafka, contenders, commits = (
        own_broker.bootstrap_servers,
        scale(CONTENDERS, CONTENDERS[:1]),
        scale(COMMITS, SHORT_COMMITS),
    )
    await prepare(kafka, PARTITIONS)
    for name in scale(REQUIREMENTS, {}):
        python_of(name)
    runs = Runs(kafka, tmp_path, await scored_auctions(max(commits.values())))
    if scale.is_full:
        speed(contenders[0], runs.new(contenders[0], max(commits)), max(commits.values()))  # the broker's own warm-up
    rows = [
        speed(contender, runs.new(contender, commit), wanted)
        for commit, wanted in commits.items()
        for contender in contenders
    ]
    scale.report("rivals", rows)
    scale.report("rivals-crash", [crash(one, runs.new(one, max(commits)), max(commits.values())) for one in contenders])
    assert isinstance(rows[0]["replies/s"], float), "ours gave no replies"


@dataclass
class Runs:
    """Each has the same auctions, under names of its own: who remembers would have nothing to do the second time."""

    kafka: str
    folder: Path
    auctions: Sequence[Event[CandidatesScored]]
    made: int = 0

    def new(self, contender: Contender, commit: int) -> Run:
        """A run whose group begins at the first of the records that were produced for it."""
        group = contender.group or f"rival-{uuid.uuid4().hex[:8]}"
        deadline = time.monotonic() + GROUP_EMPTY_S
        until_no_transaction(self.kafka, (SETTLED.name, CHARGED.name))
        while not at_the_end(self.kafka, group):
            assert time.monotonic() < deadline, f"the group {group} has members for {GROUP_EMPTY_S:g} s"
            time.sleep(POLL_S)
        self._fill()
        return Run(self.kafka, group, commit, self.folder)

    def _fill(self) -> None:
        records = [renamed(event, self.made + number).to_record() for number, event in enumerate(self.auctions)]
        produce(self.kafka, ((record.key, record.value, record.headers) for record in records), SCORED.name)
        self.made += len(records)


def at_the_end(kafka: str, group: str) -> bool:
    """Whether the group is behind the last record now; not while the member of the last run is remembered."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group})
    try:
        places = [TopicPartition(SCORED.name, number) for number in range(PARTITIONS)]
        for place in places:
            _, place.offset = consumer.get_watermark_offsets(place, GROUP_EMPTY_S)
        consumer.commit(offsets=places, asynchronous=False)
    except KafkaException:
        return False
    finally:
        consumer.close()
    return True


def speed(contender: Contender, run: Run, wanted: int) -> dict[str, object]:
    """Replies a second and CPU of each, from the first tenth on."""
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


def crash(contender: Contender, run: Run, records: int) -> dict[str, object]:
    """The process is killed when it has settled a third, and started again at once."""
    with Reader(run.kafka, (SETTLED.name,)) as reader:
        with running(contender, run) as process:
            if not Watch(reader, process).until(records // 3, FIRST_S):
                return {"contender": contender.name, "stall, s": ended(process, run), "lost": "-", "twice": "-"}
            process.kill()
            process.wait()
        reader.rest(0.3)
        before, killed = len({message.key() for message in reader.messages}), time.perf_counter()
        with running(contender, run) as process:
            watch = Watch(reader, process)
            watch.until(min(before + 1, records), LIMIT_S)  # a short run may have ended before the kill
            stall_s = time.perf_counter() - killed
            watch.until(records, LIMIT_S)
            messages = reader.rest(QUIET_S)
    found = {message.key() for message in messages}
    return {
        "contender": contender.name,
        "stall, s": stall_s,
        "lost": records - len(found),
        "twice": len(messages) - len(found),
    }


def ended(process: "Popen[bytes]", run: Run) -> str:
    """Why nothing came: the last line the process wrote."""
    log = run.folder / f"{run.group}.log"
    lines: Sequence[str] = log.read_text(errors="replace").strip().splitlines() if log.exists() else ()
    state = "runs without a reply" if process.poll() is None else f"ended with {process.poll()}"
    return f"{state}: {lines[-1][:200] if lines else 'nothing said'}"
