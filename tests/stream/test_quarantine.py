"""Who may begin work while one partition of a process works alone."""

from dataclasses import dataclass

import pytest

from workers.stream.partition.quarantine import Solo


@dataclass(eq=False)
class Work:
    """A partition's work in flight, as far as Solo looks at it."""

    working: int = 0
    woken: int = 0

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture
def one() -> Work:
    return Work()


@pytest.fixture
def other() -> Work:
    return Work()


@pytest.fixture
def solo(one: Work, other: Work) -> Solo:
    solo = Solo()
    solo.join(one)
    solo.join(other)
    return solo


def test_without_a_quarantine_every_partition_may_begin_work(solo: Solo, one: Work, other: Work) -> None:
    solo.ease()

    assert not solo.closed_to(one) and not solo.closed_to(other)
    assert not one.woken and not other.woken


def test_a_quarantine_waits_for_work_in_flight_elsewhere_and_blocks_new_work(
    solo: Solo, one: Work, other: Work
) -> None:
    other.working = 2

    assert not solo.take(one)
    assert solo.closed_to(other) and not solo.closed_to(one)

    # When the other has committed its last
    other.working = 0
    solo.ease()

    assert one.woken == 1
    assert solo.take(one)
    assert solo.closed_to(other)


def test_work_in_flight_of_the_same_partition_does_not_delay_its_quarantine(solo: Solo, one: Work) -> None:
    one.working = 1

    assert solo.take(one)


def test_a_second_quarantine_waits_for_the_first(solo: Solo, one: Work, other: Work) -> None:
    assert solo.take(one)
    assert not solo.take(other)

    solo.give(one)

    assert other.woken == 1
    assert solo.take(other)
    assert solo.closed_to(one)


def test_quarantines_take_turns(solo: Solo, one: Work, other: Work) -> None:
    solo.take(one)
    solo.take(other)

    solo.give(one)

    assert not solo.take(one)
    assert solo.take(other)


def test_less_work_elsewhere_does_not_end_a_quarantine(solo: Solo, one: Work, other: Work) -> None:
    solo.take(one)

    solo.ease()

    assert solo.closed_to(other)


def test_a_partition_that_leaves_ends_its_quarantine(solo: Solo, one: Work, other: Work) -> None:
    solo.take(one)

    solo.leave(one)

    assert other.woken
    assert not solo.closed_to(other)
    assert solo.take(other)


def test_work_in_flight_at_the_end_of_a_quarantine_delays_the_next(solo: Solo, one: Work, other: Work) -> None:
    solo.take(one)
    one.working = 1

    solo.give(one)

    assert not solo.take(other)
    assert solo.closed_to(one)
