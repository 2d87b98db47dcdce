"""The watchdog barks at a partition that has something to read and does not move, and at nothing else."""

import asyncio

import pytest

from workers.errors import Stalled
from workers.stream import liveness
from workers.stream.liveness import Liveness, Progress


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "LONGEST_STANDSTILL_S", 0.02)


async def looks(*states: Progress) -> None:
    dog = Liveness("scoring")
    for state in states:
        dog.check({"topic/0": state, "topic/1": Progress(3, 0, 3)})
        await asyncio.sleep(0.03)


async def test_waiting_records_without_progress_are_a_stalled_stage() -> None:
    with pytest.raises(Stalled, match=r"stage scoring, topic/0: nothing was read from offset 7 on .* up to 9"):
        await looks(Progress(7, 0, 9), Progress(7, 0, 9))


@pytest.mark.parametrize(
    "states",
    [
        (Progress(7, 0, 7), Progress(7, 0, 7)),  # nothing to read
        (Progress(7, 1, 9), Progress(7, 1, 9)),  # in work: that has limits of its own
        (Progress(7, 0, 9), Progress(8, 0, 9), Progress(9, 0, 10)),  # it moves
        (Progress(7, 0, -1), Progress(7, 0, -1)),  # nobody knows
        (Progress(7, 0, 9), Progress(7, 2, 9), Progress(7, 0, 9)),  # begun anew
    ],
)
async def test_a_stage_with_progress_or_without_waiting_records_is_alive(states: tuple[Progress, ...]) -> None:
    await looks(*states)
