"""What a game day breaks: a broker, an engine behind HTTP, a process for each stage, a ledger, and a load."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.game_day.supervised import Supervised
from tests.support.own_node import started
from tests.support.prometheus_server import free_port
from tests.support.vllm_stand_in import TOKENIZER
from tests.support.worker_process import environment, tessera
from workers.devkafka import DevelopmentBroker
from workers.pipeline import PATH

LOAD = ("workers", "load", "--rate", "3", "--duration", "30000", "--patience", "0")
SETTINGS = {"candidates": 4, "max_tokens": 8, "engine_tokenizer": TOKENIZER, "session_timeout_s": 6}


class Pipeline:
    """All processes, of which each is started again when it ends by itself; `broker` is its own handle."""

    def __init__(self, folder: Path, broker: DevelopmentBroker) -> None:
        self._folder, self.broker = folder, broker
        self._delay = folder / "delay"
        self.slow_engine(0)
        port = free_port()
        settings = {**SETTINGS, "engine": f"http://127.0.0.1:{port}#base"}
        self.engine = self._run(("tests.game_day.engine", str(port), str(self._delay)), "engine")
        self.ports = {stage: free_port() for stage in PATH}
        self.stages = {
            stage: self._run(("workers", "run", stage), stage, metrics_port=self.ports[stage], **settings)
            for stage in PATH
        }
        self._ledger_port = free_port()
        self.ledger = self._run(("workers", "balance", "--metrics-port", str(self._ledger_port)), "ledger")
        self._load = self._run(LOAD, "load")

    @property
    def targets(self) -> list[str]:
        return [f"127.0.0.1:{port}" for port in (*self.ports.values(), self._ledger_port)]

    def slow_engine(self, seconds: float) -> None:
        """So long does it take over each answer from now on."""
        written = self._delay.with_suffix(".new")
        written.write_text(str(seconds))
        written.replace(self._delay)

    def load(self, *options: str) -> None:
        """What is sent from now on, by options of `tessera load`."""
        self._load.restart((*LOAD, *options))

    def tend(self) -> None:
        """Start what has ended."""
        for process in self._all():
            process.tend()

    def end(self) -> None:
        """The load first, then what works it off."""
        for process in reversed(self._all()):
            process.end()

    def _all(self) -> Sequence[Supervised]:
        return (self.engine, *self.stages.values(), self.ledger, self._load)

    def _run(self, arguments: Sequence[str], name: str, **settings: object) -> Supervised:
        given = environment(self.broker.bootstrap_servers, **settings)
        return Supervised(arguments, given, self._folder / f"{name}.log")


@contextmanager
def running_pipeline(folder: Path, data: Path) -> Iterator[Pipeline]:
    """With the topics; `data` is the broker's folder. Everything is ended in the end."""
    with ExitStack() as stack:
        broker = DevelopmentBroker(data)
        stack.enter_context(started(broker))
        made = tessera("topics", "create", kafka=broker.bootstrap_servers)
        assert made.returncode == 0, made.stderr.decode()
        pipeline = Pipeline(folder, broker)
        stack.callback(pipeline.end)
        yield pipeline
