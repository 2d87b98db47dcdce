"""An idle stage, and a Kafka that does not answer: that is told in the log, in a metric and by /readyz."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Any

import aiokafka.client
import pytest

from schemas import topics as table
from tests.contracts.test_bus import Answered, Answerer, Asked, kafka_bus, topic
from workers.operations.monitor import Monitor
from workers.stage import Stage, StageSpec
from workers.stream import kafka_watch

WAIT_S = 60.0


class Network:
    """Connections of aiokafka, as long as it is up."""

    def __init__(self) -> None:
        self._connect, self._connections, self._is_up = aiokafka.client.create_conn, list[Any](), True

    async def connect(self, *address: Any, **options: Any) -> Any:
        if not self._is_up:
            raise ConnectionRefusedError
        self._connections.append(await self._connect(*address, **options))
        return self._connections[-1]

    def goes(self, up: bool) -> None:
        self._is_up = up
        for connection in self._connections if not up else ():
            connection.close()


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not is_so():
            await asyncio.sleep(0.05)


@pytest.mark.kafka
async def test_an_idle_stage_tells_that_kafka_is_away_and_that_it_is_back(
    kafka: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    name, network = f"test.{uuid.uuid4().hex}", Network()
    asked, answered = topic(Asked, f"{name}.asked"), topic(Answered, f"{name}.answered")
    for each in (asked, answered):
        monkeypatch.setitem(table.BY_NAME, each.name, each)
    monkeypatch.setattr(kafka_watch, "LONGEST_SILENCE_S", 0.3)
    monkeypatch.setattr(aiokafka.client, "create_conn", network.connect)
    monitor, worker, stop = Monitor(stages=[name], currency="USD", engine="null"), Answerer(), asyncio.Event()
    spec = StageSpec(name, asked, (answered,), lambda means: worker)
    bus = await kafka_bus(kafka, spec, monitor)

    def is_down() -> float | None:
        return monitor.registry.get_sample_value("auction_kafka_down", {"stage": name})

    with caplog.at_level(logging.INFO, "workers"):
        running = asyncio.create_task(bus.run([Stage(spec, worker, 4)], stop))
        await until(lambda: not monitor.health.why_not_ready())
        assert is_down() == 0
        network.goes(up=False)
        await until(is_down)
        assert f"Kafka for stage {name} is not ready" in monitor.health.why_not_ready()
        network.goes(up=True)
        await until(lambda: not monitor.health.why_not_ready())
        stop.set()
        await running

    assert is_down() == 0
    told = [line for line in caplog.messages if "its group" in line]
    assert ["not answered" in line for line in told] == [True, False]
