"""Auctions per second through generation, scoring and settlement as three processes on one broker, exactly once."""

import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from tests.benchmarks.auctions import CANDIDATES
from tests.benchmarks.report import Scale
from tests.benchmarks.stages import BROKER, Sample, Stages, prepare, three_stages
from tests.support.builders import make_query
from tests.support.kafka_client import produce
from workers.devkafka import DevelopmentBroker
from workers.pipeline import PATH

pytestmark = pytest.mark.kafka

PARTITIONS = 8
LOOK_EVERY_S = 1.0  # a look costs each process a few milliseconds
LIMIT_S = 180.0
WARM = 0.15  # share of the queries after which the rate counts: caches are filled, code is warm, files are open
AT_ONCE = 64  # auctions in flight in each partition, and most in one transaction


async def test_three_stages(scale: Scale, own_broker: DevelopmentBroker, tmp_path: Path) -> None:
    kafka = own_broker.bootstrap_servers
    await prepare(kafka, PARTITIONS)
    queries = [make_query(number) for number in range(scale(16_000, 40))]

    settings = {"candidates": CANDIDATES, "in_flight": AT_ONCE, "transaction_auctions": AT_ONCE, "deadline_s": 600}
    with three_stages(own_broker, tmp_path, **settings) as stages:
        idle = stages.look()
        produce(kafka, ((query.subject.encode(), query.value, ()) for query in queries))
        samples = watch(stages, len(queries))

    first, last = steady(samples, len(queries)) if scale.is_full else (idle, samples[-1])
    scale.report("three-stages", summary(first, last))
    scale.report("three-stages-cpu", [usage(name, first, last) for name in (*PATH, BROKER)])


def watch(stages: Stages, queries: int) -> Sequence[Sample]:
    """Looks at the processes until every query is settled."""
    samples = [stages.look()]
    deadline = time.monotonic() + LIMIT_S
    while samples[-1].committed[PATH[-1]] < queries:
        assert time.monotonic() < deadline, f"after {LIMIT_S:g} s only {samples[-1].committed}"
        time.sleep(LOOK_EVERY_S)
        samples.append(stages.look())
    assert samples[-1].committed == dict.fromkeys(PATH, queries)
    return samples


def steady(samples: Sequence[Sample], queries: int) -> tuple[Sample, Sample]:
    """The first and the last look at which all three stages were at work and warm."""
    warm = [sample for sample in samples if sample.committed[PATH[-1]] > WARM * queries]
    busy = [sample for sample in warm if sample.committed[PATH[0]] < queries]
    assert len(busy) > 1, "generation had ended before settlement was warm: take more queries"
    return busy[0], busy[-1]


def summary(first: Sample, last: Sample) -> Sequence[dict[str, object]]:
    """The rate, and the rate that two whole cores would give: other programs take their part of the machine."""
    seconds, cores = last.at_s - first.at_s, psutil.cpu_count() or 1
    ours_s = sum(last.cpu_s.values()) - sum(first.cpu_s.values())
    settled = last.committed[PATH[-1]] - first.committed[PATH[-1]]
    each_ms = sum(cost_ms(name, first, last) for name in (*PATH, BROKER))
    figures = {
        f"auctions/s, M={CANDIDATES}, N=2, {PARTITIONS} partitions, {AT_ONCE} a transaction": settled / seconds,
        "CPU of one auction, all processes, ms": each_ms,
        "auctions/s that two cores of our own allow": 2_000 / each_ms,
        f"our share of the machine's {cores} cores": ours_s / seconds / cores,
        "other programs' share": (last.machine_s - first.machine_s - ours_s) / seconds / cores,
        "auctions between the stages, at first": first.committed[PATH[0]] - first.committed[PATH[-1]],
        "auctions between the stages, in the end": last.committed[PATH[0]] - last.committed[PATH[-1]],
    }
    return [{"what": what, "measured": figure} for what, figure in figures.items()]


def cost_ms(name: str, first: Sample, last: Sample) -> float:
    """CPU that one auction costs a process; the broker's counts by the auctions that came out."""
    stage = PATH[-1] if name == BROKER else name
    return 1_000 * (last.cpu_s[name] - first.cpu_s[name]) / (last.committed[stage] - first.committed[stage])


def usage(name: str, first: Sample, last: Sample) -> dict[str, object]:
    seconds = last.cpu_s[name] - first.cpu_s[name]
    return {
        "process": name,
        "CPU ms per auction": cost_ms(name, first, last),
        "cores used": seconds / (last.at_s - first.at_s),
    }
