"""Three stages as processes on a broker of their own, and what each process has done and used so far."""

import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.worker_process import WorkerProcess
from workers.devkafka import DevelopmentBroker
from workers.pipeline import GROUPS, PATH
from workers.settings import Settings
from workers.stream.admin.first_offsets import initialise_offsets
from workers.stream.admin.topics import create_topics

BROKER = "broker"
SCRAPE_S = 5.0


@dataclass(frozen=True)
class Sample:
    """One look at all processes: seconds of CPU by process, and records committed by stage."""

    at_s: float
    machine_s: float  # CPU of all programs of the machine, ours included
    cpu_s: Mapping[str, float]
    committed: Mapping[str, int]


@dataclass(frozen=True)
class Stages:
    """The processes, each by the name of its stage, and the broker they share."""

    workers: Mapping[str, WorkerProcess]
    broker: DevelopmentBroker

    def look(self) -> Sample:
        pids = {BROKER: self.broker.pid} | {name: worker.process.pid for name, worker in self.workers.items()}
        return Sample(
            time.perf_counter(),
            machine_s(),
            {name: cpu_s(psutil.Process(pid)) for name, pid in pids.items()},
            {name: committed(worker, name) for name, worker in self.workers.items()},
        )


def machine_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def committed(worker: WorkerProcess, stage: str) -> int:
    """Input records whose transactions are committed, as the process says in /metrics."""
    with urllib.request.urlopen(f"{worker.url()}/metrics", timeout=SCRAPE_S) as answer:  # noqa: S310  # loopback
        text = answer.read().decode()
    found = re.search(rf'^auction_transaction_auctions_sum{{stage="{stage}"}} (\S+)$', text, re.MULTILINE)
    return int(float(found[1])) if found else 0


async def prepare(kafka: str, partitions: int) -> None:
    """The topics, empty, and the groups' first offsets."""
    settings = Settings.read(bootstrap_servers=kafka, partitions=partitions)
    await create_topics(settings)
    await initialise_offsets(settings, GROUPS)


@contextmanager
def three_stages(broker: DevelopmentBroker, folder: Path, **settings: object) -> Iterator[Stages]:
    """Generation, scoring and settlement, each ready in a process of its own; stopped in the end."""
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(
                WorkerProcess((name,), broker.bootstrap_servers, folder / f"{name}.log", **settings)
            )
            for name in PATH
        }
        for worker in workers.values():
            worker.until_ready()
        yield Stages(workers, broker)
