"""How `tessera run` ends where its stages never began: what may pass by itself is for a supervisor to try again."""

import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.rewards.models import Fake
from tests.support.worker_process import WorkerProcess, tessera
from workers.cli import cli
from workers.devkafka.ports import free_port
from workers.engines import catalogue
from workers.engines.base import Prompt, Reply
from workers.engines.options import EngineOptions
from workers.errors import EngineGone, EngineTimeout, EngineUnavailable, SettingsError, TesseraError

PASSING = [EngineUnavailable("no connection"), EngineTimeout("late"), EngineGone("killed")]


class Mute(Fake):
    """Loads, and fails when it is asked for the first reply."""

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        assert self.fault
        raise self.fault


def run(engine: Callable[[], Awaitable[Fake]]) -> Result:
    async def open_fake(_: str, options: EngineOptions) -> Fake:
        return await engine()

    environment = {
        "TESSERA_ALLOW_PLAINTEXT": "true",
        "TESSERA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "TESSERA_SAMPLING_KEY": "s" * 32,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.engines.calls.PAUSES_S", (0.0,))
        patch.setitem(catalogue.ENGINES, "fake", open_fake)
        command = ["run", "generation", "--engine", "fake", "--metrics-port", "0"]
        return CliRunner().invoke(cli, command, env=environment)


@pytest.mark.parametrize("failure", PASSING, ids=lambda failure: type(failure).__name__)
def test_an_engine_that_does_not_answer_at_the_start_is_tried_again(failure: TesseraError) -> None:
    async def fails() -> Fake:
        raise failure

    done = run(fails)

    assert done.exit_code == 70
    assert done.output.splitlines()[-1] == f"tessera: {failure}; exit code 70: start it again"


@pytest.mark.parametrize("failure", PASSING, ids=lambda failure: type(failure).__name__)
def test_an_engine_that_gives_no_first_reply_is_tried_again(failure: TesseraError) -> None:
    async def opens() -> Fake:
        mute = Mute("mute")
        mute.fault = failure
        return mute

    done = run(opens)

    assert done.exit_code == 70
    assert done.output.splitlines()[-1].endswith("exit code 70: start it again")


def test_a_setting_that_is_wrong_is_not_tried_again() -> None:
    async def refuses() -> Fake:
        raise SettingsError("TESSERA_ENGINE: no such folder")

    assert isinstance(run(refuses).exception, SettingsError)  # 2, by the entry point


@pytest.mark.parametrize(
    ("stage", "settings", "names"),
    [
        ("settlement", {"TESSERA_DRAW_KEY": ""}, "TESSERA_DRAW_KEY"),
        ("generation", {"TESSERA_DRAW_KEY": "", "TESSERA_SAMPLING_KEY": ""}, "TESSERA_SAMPLING_KEY"),
        ("scoring", {"TESSERA_ENGINE": "embeded"}, "no engine is called 'embeded'"),
        ("scoring", {"TESSERA_ENGINE": "embedded:/nowhere"}, "/nowhere holds no model"),
    ],
)
def test_a_wrong_setting_is_named_before_metrics_are_announced(
    stage: str, settings: dict[str, str], names: str
) -> None:
    """Who reads "metrics at" takes the stage for started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_ALLOW_PLAINTEXT", "true")
        for variable, value in settings.items():
            patch.setenv(variable, value) if value else patch.delenv(variable, raising=False)
        done = CliRunner().invoke(cli, ["run", stage, "--metrics-port", "0"])

    assert isinstance(done.exception, SettingsError) and names in str(done.exception)
    assert "metrics at" not in done.output


def test_a_server_that_is_down_ends_the_process_with_70() -> None:
    name = f"http://127.0.0.1:{free_port()}#base"

    done = tessera("run", "scoring", engine=name)

    assert done.returncode == 70, done.stderr.decode()
    assert b"is its server running" in done.stderr and b"Traceback" not in done.stderr


def test_a_kafka_that_is_down_ends_the_process_with_70_whatever_the_stage() -> None:
    """Settlement reads its commitments before it begins."""
    for stage in ("generation", "settlement"):
        done = tessera("run", stage, kafka=f"127.0.0.1:{free_port()}", engine="null")

        assert done.returncode == 70, done.stderr.decode()
        assert b"start it again" in done.stderr and b"Traceback" not in done.stderr


ENDS_S = 30.0  # on a machine that does other work too; half of the engine's own time-out


@pytest.fixture
def loading(tmp_path: Path) -> Iterator[WorkerProcess]:
    """A process whose model never finishes loading: its server accepts and does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"http://127.0.0.1:{silent.getsockname()[1]}#base"
        process = WorkerProcess(["scoring"], "127.0.0.1:1", tmp_path / "log", engine=name)
        silent.settimeout(180.0)
        try:
            with silent.accept()[0]:  # it asks, so it loads
                yield process
        finally:
            process.kill()


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_process_stopped_while_its_model_loads_ends_soon(loading: WorkerProcess, told: signal.Signals) -> None:
    began = time.monotonic()
    loading.process.send_signal(told)

    assert loading.process.wait(60.0) == 0, loading.output()
    assert time.monotonic() - began < ENDS_S
    assert "stopping; again to stop at once" in loading.output()
    assert "Traceback" not in loading.output() and "exit code" not in loading.output()
