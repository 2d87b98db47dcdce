"""Two processes under one instance name displace each other; a process that loses its place by itself does not."""

from collections.abc import Iterator

import pytest

from workers.errors import Unsuitable
from workers.stream.displacement import LIMITS, Displacement

SESSION_S = 10.0


def every(seconds: float, instance: str = "one") -> Displacement:
    """One whose clock moves on by so much between two member ids."""
    moments: Iterator[float] = iter(seconds * number for number in range(100))
    return Displacement(instance, SESSION_S, lambda: next(moments))


def test_a_new_member_id_every_half_session_is_another_process_of_that_name() -> None:
    displacement = every(SESSION_S / 2)
    with pytest.raises(Unsuitable, match="TESSERA_INSTANCE"):
        for number in range(max(LIMITS) + 1):
            displacement.joined(f"one-{number}")


@pytest.mark.parametrize("limit", LIMITS)
def test_of_two_processes_most_likely_one_goes_on(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.stream.displacement.random.choice", lambda _: limit)
    displacement = every(SESSION_S / 2)
    for number in range(limit):  # the first is its own
        displacement.joined(f"one-{number}")
    with pytest.raises(Unsuitable):
        displacement.joined("one-last")


@pytest.mark.parametrize(
    ("displacement", "ids"),
    [
        (every(SESSION_S), [f"one-{number}" for number in range(50)]),  # each session ended by itself
        (every(0.1), ["one-0"] * 50),  # rebalances of the group
        (every(0.1, instance=""), [f"some-{number}" for number in range(50)]),  # without a name an id is nobody's
    ],
)
def test_whoever_loses_its_place_by_itself_goes_on(displacement: Displacement, ids: list[str]) -> None:
    for id_ in ids:
        displacement.joined(id_)
