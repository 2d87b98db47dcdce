"""What metrics cost: of settlement's CPU, and seconds that a scrape waits."""

import math
import time
from collections.abc import Callable, Sequence

from schemas.record import Record
from schemas.topics import SETTLED_QUERIES
from tests.benchmarks.auctions import scored_auctions
from tests.benchmarks.report import Scale
from tests.support.builders import Keys, make_record
from tests.support.prometheus_server import get
from workers.operations.health import Health, MonitoringServer
from workers.operations.monitor import Monitor
from workers.pipeline import STAGES
from workers.settlement import Settlement
from workers.stage import Stage
from workers.stream.deduplication.deduplicator import Once
from workers.stream.processing import Result, process, report

MOST_OF_SETTLEMENT = 0.02
LONGEST_SCRAPE_S = 0.05
AUCTIONS_PER_TRANSACTION = 64
NAME = "settlement"


class Silent(Monitor):
    """Is told everything and counts nothing."""

    def handled(self, *_: object) -> None: ...
    def committed(self, *_: object) -> None: ...
    def transaction(self, *_: object) -> None: ...
    def in_flight(self, *_: object) -> None: ...
    def assigned(self, *_: object) -> None: ...
    def lag(self, *_: object) -> None: ...


def monitor(kind: type[Monitor]) -> Monitor:
    return kind(stages=(NAME,), currency="USD", engine="none")


def least_cpu_s(rounds: int, work: Callable[[], object]) -> float:
    """Of one call: the round that other programs disturbed least."""
    least = math.inf
    for _ in range(rounds):
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
    return least


async def settled(records: Sequence[Record], rounds: int) -> tuple[Sequence[Result], float]:
    """The results, and CPU seconds of an auction from its record to those that it leads to, without Kafka's."""
    stage, silent, least, results = Stage(STAGES[NAME], Settlement(Keys()), 1), monitor(Silent), math.inf, []
    for _ in range(rounds):
        once, began = Once(SETTLED_QUERIES), time.process_time()
        results = [await process(stage, record, silent, once) for record in records]
        for result in results:
            list(result.outgoing)  # encoded as it is sent
        least = min(least, time.process_time() - began)
    return results, least / len(records)


def tell(observer: Monitor, results: Sequence[Result]) -> None:
    """All that is told of these auctions: of each one, of its transaction, and of the poll it came with."""
    for number, result in enumerate(results):
        observer.handled(NAME, 0.001)
        report([result], NAME, observer)
        if number % AUCTIONS_PER_TRANSACTION == 0:
            observer.transaction(NAME, "committed", 0.01, AUCTIONS_PER_TRANSACTION)
            observer.in_flight(NAME, number)
            observer.assigned(NAME, True)
            observer.lag(NAME, number, 0.1)


async def test_metrics_take_less_than_two_percent_of_settlements_cpu(scale: Scale) -> None:
    distinct, rounds = scale((100, 20), (20, 5))
    results, auction_s = await settled([make_record(event) for event in await scored_auctions(distinct)], rounds)
    loud, silent = monitor(Monitor), monitor(Silent)
    told_s, untold_s = (least_cpu_s(rounds, lambda: tell(one, results)) for one in (loud, silent))  # noqa: B023
    metrics_s = (told_s - untold_s) / len(results)

    share = metrics_s / (auction_s + metrics_s)
    row = {"settlement, µs": 1e6 * auction_s, "metrics, µs": 1e6 * metrics_s, "share": share}
    scale.report("metrics-cost", [row])
    assert share < scale(MOST_OF_SETTLEMENT, 2 * MOST_OF_SETTLEMENT), row  # the short form measures a few rounds only


def test_a_scrape_takes_less_than_50_ms_of_cpu(scale: Scale) -> None:
    """Of CPU, which is what it waits where nothing else runs; of a process with all stages.

    No label names a partition, so 64 of them make it no longer.
    """
    found = Monitor(stages=tuple(STAGES), currency="USD", engine="null")
    for engine in ("reference", "proposal"):
        found.engines.engine(engine)
    for model in range(64):  # as many as a file of choices may name
        found.own_models.own_model(f"http://own:{8_000 + model}#model")
    with MonitoringServer(found, Health(), host="127.0.0.1", port=0) as server:
        url, sizes = f"http://127.0.0.1:{server.port}/metrics", []
        seconds = least_cpu_s(scale(50, 8), lambda: sizes.append(len(get(url)[1])))

    row = {"CPU of server and client, ms": 1e3 * seconds, "KiB": sizes[-1] / 1_024}
    scale.report("metrics-scrape", [row])
    assert seconds < scale(LONGEST_SCRAPE_S, 4 * LONGEST_SCRAPE_S), row
