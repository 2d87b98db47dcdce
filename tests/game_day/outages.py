"""The outages of a game day: how each begins and ends, and which alerts must say so."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.game_day.pipeline import Pipeline

FILLER = "filler"
CHUNK = b"\0" * 1_048_576


@dataclass(frozen=True)
class Outage:
    """`break_` is called often while it lasts, so that it stays broken; `mend` once."""

    what: str
    expected: frozenset[str]
    break_: Callable[[Pipeline], None]
    mend: Callable[[Pipeline], None]
    needs_disk: bool = False  # one of a few hundred megabytes for the broker, which is filled


def once(action: Callable[[Pipeline], None]) -> Callable[[Pipeline], None]:
    """The first call does it, later ones nothing."""
    done: list[bool] = []

    def act(pipeline: Pipeline) -> None:
        if not done:
            done.append(True)
            action(pipeline)

    return act


def every(seconds: float, action: Callable[[Pipeline], None]) -> Callable[[Pipeline], None]:
    """It is done at the first call, and again when so long has passed."""
    last = [-seconds]

    def act(pipeline: Pipeline) -> None:
        if time.monotonic() - last[0] >= seconds:
            last[0] = time.monotonic()
            action(pipeline)

    return act


def fill(pipeline: Pipeline) -> None:
    """Not a byte is left on the broker's disk; a broker that notices ends."""
    try:
        with (_disk(pipeline) / FILLER).open("ab", buffering=0) as file:
            while file.write(CHUNK):
                pass
    except OSError:
        pass  # it is full: that was the aim


def free(pipeline: Pipeline) -> None:
    """There is room again, and the broker is started if it has ended."""
    (_disk(pipeline) / FILLER).unlink()
    pipeline.broker.stop()
    pipeline.broker.start()


def _disk(pipeline: Pipeline) -> Path:
    return pipeline.broker.data


def void(pipeline: Pipeline) -> None:
    """The model answers, and so late that a query's stated deadline passes before its candidates are scored."""
    pipeline.slow_engine(2.0)
    pipeline.load("--deadlines", "1", "--deadline", "3")


def as_usual(pipeline: Pipeline) -> None:
    pipeline.slow_engine(0)
    pipeline.load()


OUTAGES: Mapping[str, Outage] = {
    "engine": Outage(
        "the engine is killed",
        frozenset({"AuctionEngineDown", "AuctionNothingCommitted", "AuctionConsumerLag"}),
        once(lambda pipeline: pipeline.engine.keep_down()),
        lambda pipeline: pipeline.engine.let_up(),
    ),
    "broker": Outage(
        "the broker is stopped",
        frozenset({"AuctionKafkaDown"}),
        once(lambda pipeline: pipeline.broker.stop()),
        lambda pipeline: pipeline.broker.start(),
    ),
    "disk": Outage(
        "the broker's disk is full",
        frozenset({"AuctionKafkaDown"}),
        once(fill),
        free,
        needs_disk=True,
    ),
    "stage": Outage(
        "settlement is killed and not started again",
        frozenset({"AuctionStageLost", "AuctionWorkerUnreachable"}),
        once(lambda pipeline: pipeline.stages["settlement"].keep_down()),
        lambda pipeline: pipeline.stages["settlement"].let_up(),
    ),
    "ledger": Outage(
        "the ledger is killed and not started again",
        frozenset({"AuctionWorkerUnreachable"}),
        once(lambda pipeline: pipeline.ledger.keep_down()),
        lambda pipeline: pipeline.ledger.let_up(),
    ),
    "crashes": Outage(
        "scoring dies every 15 s",
        frozenset({"AuctionRestarts"}),
        every(15, lambda pipeline: pipeline.stages["scoring"].kill()),
        lambda pipeline: None,
    ),
    "voids": Outage(
        "the model is so slow that every auction is void", frozenset({"AuctionVoids"}), once(void), as_usual
    ),
    "poison": Outage(
        "every record that is sent is no query",
        frozenset({"AuctionQueriesRefused"}),
        once(lambda pipeline: pipeline.load("--poison", "1")),
        as_usual,
    ),
}
