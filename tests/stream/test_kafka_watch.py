"""When it is said that Kafka does not answer a stage: once, after a while, and once when it does again."""

import asyncio
from types import SimpleNamespace
from unittest.mock import Mock, call

import pytest

from workers.operations.monitor import Monitor
from workers.stream.kafka_watch import LONGEST_SILENCE_S, KafkaWatch

HALF = LONGEST_SILENCE_S / 2


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ([True, True], []),
        ([False, False], []),  # a coordinator that moves
        ([False, False, True, False, False], []),
        ([False] * 9, [True]),
        ([False, False, False, True, True], [True, False]),
        ([True, False, False, False, True, False, False, False], [True, False, True]),
    ],
)
async def test_silence_is_told_once_and_so_is_its_end(
    seen: list[bool], told: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    observer, coordinator, now = Mock(spec=Monitor), SimpleNamespace(), 1_000.0
    watch = KafkaWatch("scoring", SimpleNamespace(_coordinator=coordinator), observer)
    with monkeypatch.context() as clock:
        clock.setattr(asyncio.get_running_loop(), "time", lambda: now)
        for answers in seen:
            coordinator.coordinator_id = 0 if answers else None
            watch.check()
            now += HALF

    assert observer.mock_calls == [call.kafka_down("scoring", is_down) for is_down in told]
