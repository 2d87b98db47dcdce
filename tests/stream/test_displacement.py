"""Two processes under one instance name displace each other; a process that loses its place by itself does not."""

import heapq
import random
from collections.abc import Iterator
from itertools import count

import pytest

from workers.errors import Unsuitable
from workers.stream import displacement
from workers.stream.displacement import LIMITS, Displacement

SESSION_S = 10.0
LOST, KEPT = "", "some-id"


def every(seconds: float, instance: str = "one") -> Displacement:
    """One whose clock moves on by so much with each look at it; it has joined."""
    moments: Iterator[float] = iter(seconds * number for number in range(200))
    member = Displacement(instance, SESSION_S, lambda: next(moments))
    member.joined()
    return member


def test_losing_membership_every_half_session_means_another_process_has_the_same_instance_name() -> None:
    member = every(SESSION_S / 2)
    with pytest.raises(Unsuitable, match="TESSERA_INSTANCE"):
        for _ in range(LIMITS[-1]):
            member.joins_again(LOST)
            member.joined()


def test_a_membership_lost_once_counts_once_however_often_rejoining_fails() -> None:
    member = every(0.1)
    for _ in range(100):
        member.joins_again(LOST)


@pytest.mark.parametrize(
    ("member", "id_"),
    [
        (every(SESSION_S), LOST),  # each session ended by itself
        (every(0.1), KEPT),  # rebalances of the group
        (every(0.1, instance=""), LOST),  # without a name an id is nobody's
        (Displacement("one", SESSION_S, lambda: 0.0), LOST),  # it has not joined yet
    ],
)
def test_a_member_that_loses_its_membership_by_itself_goes_on(member: Displacement, id_: str) -> None:
    for _ in range(100):
        member.joins_again(id_)
        if member._joined_s is not None:
            member.joined()


def who_ends(limits: tuple[int, int], stages: int, apart_s: float, monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Which of two processes end: each stage takes its place from the other's within a heartbeat, a quarter session.

    An ending process stops all its stages a second later.
    """
    rng, now_s, order = random.Random(f"{limits} {stages} {apart_s}"), 0.0, count()
    members = [[Displacement("one", SESSION_S, lambda: now_s) for _ in range(stages)] for _ in limits]
    for member in members[0]:
        member.joined()
    over_s: dict[int, float] = {}
    events = [(apart_s, next(order), 1, stage) for stage in range(stages)]  # who takes which place
    while events:
        now_s, _, process, stage = heapq.heappop(events)
        if now_s > over_s.get(process, float("inf")):
            continue
        monkeypatch.setattr(displacement, "drawn_limit", lambda limit=limits[process]: limit)
        try:
            members[process][stage].joins_again(LOST)
        except Unsuitable:
            over_s.setdefault(process, now_s + 1)
            continue
        members[process][stage].joined()
        heapq.heappush(events, (now_s + rng.uniform(0.05, SESSION_S / 4), next(order), 1 - process, stage))
    return set(over_s)


@pytest.mark.parametrize("stages", [1, 4])
@pytest.mark.parametrize("limits", [(4, 4), (4, 12), (12, 4), (12, 12), (6, 8)])
def test_of_two_processes_with_one_instance_name_the_newcomer_ends(
    limits: tuple[int, int], stages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert who_ends(limits, stages, 60.0, monkeypatch) == {1}


@pytest.mark.parametrize("limits", [(first, second) for first in LIMITS for second in LIMITS])
def test_of_two_processes_that_start_together_one_ends_also_with_equal_limits(
    limits: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(who_ends(limits, 1, 0.5, monkeypatch)) == 1


def test_of_two_processes_with_several_stages_that_start_together_nearly_always_one_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = [
        who_ends((first, second), 4, 0.1 * again, monkeypatch)
        for again in range(10)
        for first in LIMITS
        for second in LIMITS
    ]
    assert all(ends)
    assert sum(len(one) == 2 for one in ends) <= len(ends) / 100
