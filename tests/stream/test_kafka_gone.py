"""Kafka is gone and stays away: a process that gives up says what it failed with, and never ends as if told to."""

import asyncio
from typing import Any, cast

import pytest

from tests.operations.test_metrics import make_metrics
from tests.support.worker_process import environment
from workers.app.session import Onlooker
from workers.cli import run
from workers.errors import BrokerError, Stalled
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stage import Stage
from workers.stream import kafka
from workers.stream.connection.clients import Clients
from workers.stream.connection.started import started

CLIENTS = Clients(Settings.read(allow_plaintext=True))


class CancelledAtItsEnd:
    """As aiokafka's consumer without a broker: `stop` awaits a task of its own that it has cancelled."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        raise asyncio.CancelledError


class StoppedForEver(CancelledAtItsEnd):
    def __init__(self) -> None:
        self.is_stopping = asyncio.Event()

    async def stop(self) -> None:
        self.is_stopping.set()
        await asyncio.Event().wait()


async def test_a_cancellation_by_the_client_library_hides_no_failure() -> None:
    with pytest.raises(BrokerError, match="eight failures in a row"):
        async with started(CancelledAtItsEnd(), CLIENTS):
            raise BrokerError("eight failures in a row")


async def test_a_cancellation_of_ours_ends_the_wait_for_a_client() -> None:
    client = StoppedForEver()

    async def use() -> None:
        async with started(client, CLIENTS):
            pass

    task = asyncio.create_task(use())
    await client.is_stopping.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


class Loop:
    """A stage whose consumer ends as it was told."""

    ends_with: BaseException | None = None

    def __init__(self, _: object, __: object, ___: object, stage: Stage, *____: object) -> None:
        self.stage = stage

    async def run(self, stop: asyncio.Event) -> None:
        if self.ends_with is not None:
            raise self.ends_with
        await stop.wait()


class Cancelled(Loop):
    ends_with = asyncio.CancelledError()


def bus(monkeypatch: pytest.MonkeyPatch, loop: type[Loop]) -> tuple[kafka.KafkaBus, list[Stage]]:
    monkeypatch.setattr(kafka, "StageLoop", loop)
    settings = Settings.read(allow_plaintext=True)
    stages = [Stage(STAGES[name], cast("Any", None), 1) for name in ("generation", "scoring")]
    return kafka.KafkaBus(settings, make_metrics(), CLIENTS, cast("Any", None)), stages


async def test_a_stage_cancelled_by_nobody_of_ours_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    on_kafka, stages = bus(monkeypatch, Cancelled)

    with pytest.raises(Stalled, match="generation, scoring was cancelled, and not by us"):
        await on_kafka.run(stages, asyncio.Event())


@pytest.mark.parametrize("loop", [Loop, Cancelled], ids=["ends", "cancelled by the library"])
async def test_stages_that_are_told_to_stop_end_without_an_error(
    monkeypatch: pytest.MonkeyPatch, loop: type[Loop]
) -> None:
    on_kafka, stages = bus(monkeypatch, loop)
    stop = asyncio.Event()
    stop.set()

    await on_kafka.run(stages, stop)


async def test_a_process_cancelled_by_nobody_of_ours_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def cancelled(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(run, "stages_running", cancelled)
    for name, value in environment("127.0.0.1:1").items():
        monkeypatch.setenv(name, value)

    failure = await run._serve(["settlement"], Settings.read(metrics_port=0), print, Onlooker())

    assert isinstance(failure, Stalled)  # `tessera run` ends with 70 for what is returned
