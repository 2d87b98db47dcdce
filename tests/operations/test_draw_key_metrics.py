"""Keys that are not revealed in time are a number: from an hour after a day's end on, for as long as it takes."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from workers.draw_keys import Committed, oldest_unrevealed
from workers.errors import BrokerError
from workers.operations.draw_key_metrics import DrawKeyMetrics

SHOWN = {"2026-11-22": Committed("2026-11-22", "aa", datetime(2026, 11, 21, tzinfo=UTC), key="bb")}
KEPT = {day: Committed(day, "aa", datetime(2026, 11, 21, tzinfo=UTC)) for day in ("2026-11-23", "2026-11-24")}
DUE = datetime(2026, 11, 24, 1, tzinfo=UTC)  # of the key of the 23rd


class Setting:
    """Metrics whose clock the test moves, over a topic that it fills."""

    def __init__(self) -> None:
        self.at, self.known, self.reads = DUE, dict[str, Committed](), 0
        self.registry = CollectorRegistry()
        self.metrics = DrawKeyMetrics(self.registry, lambda: self.at)

    async def read(self) -> Mapping[str, Committed]:
        self.reads += 1
        if self.reads % 2 == 0:
            raise BrokerError("Kafka does not answer")
        return self.known

    def overdue_s(self) -> float | None:
        return self.registry.get_sample_value("auction_draw_keys_overdue_seconds")


def test_a_day_is_due_an_hour_after_its_end_and_only_while_it_is_not_revealed() -> None:
    assert oldest_unrevealed((SHOWN | KEPT).values()) == DUE
    assert oldest_unrevealed(SHOWN.values()) is None


@pytest.mark.parametrize(
    ("after", "overdue_s"), [(timedelta(hours=-3), 0), (timedelta(0), 0), (timedelta(days=2), 172_800)]
)
def test_the_number_counts_from_when_the_oldest_key_was_due(after: timedelta, overdue_s: float) -> None:
    setting = Setting()
    assert setting.overdue_s() == 0

    setting.metrics.saw((SHOWN | KEPT).values())
    setting.at = DUE + after

    assert setting.overdue_s() == overdue_s


async def test_it_goes_on_growing_while_kafka_does_not_answer_and_ends_when_the_keys_are_seen_revealed() -> None:
    setting = Setting()
    setting.known = KEPT
    watching = asyncio.create_task(setting.metrics.watch(setting.read, every_s=0))
    try:
        while setting.reads < 4:  # the second and the fourth fail
            await asyncio.sleep(0)
        setting.at = DUE + timedelta(days=1)
        assert setting.overdue_s() == 86_400

        setting.known = SHOWN
        while setting.reads < 7:
            await asyncio.sleep(0)
        assert setting.overdue_s() == 0
    finally:
        watching.cancel()
