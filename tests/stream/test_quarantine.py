"""Who may begin work while one partition of a process works alone."""

from dataclasses import dataclass

import pytest

from workers.stream.partition.quarantine import Quarantine


@dataclass(eq=False)
class Work:
    """A partition's work in flight, as far as Quarantine looks at it."""

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
def quarantine(one: Work, other: Work) -> Quarantine:
    quarantine = Quarantine()
    quarantine.join(one)
    quarantine.join(other)
    return quarantine


def test_without_a_quarantine_every_partition_may_begin_work(quarantine: Quarantine, one: Work, other: Work) -> None:
    quarantine.ease()

    assert not quarantine.closed_to(one) and not quarantine.closed_to(other)
    assert not one.woken and not other.woken


def test_a_quarantine_waits_for_work_in_flight_elsewhere_and_blocks_new_work(
    quarantine: Quarantine, one: Work, other: Work
) -> None:
    other.working = 2

    assert not quarantine.take(one)
    assert quarantine.closed_to(other) and not quarantine.closed_to(one)

    # When the other has committed its last
    other.working = 0
    quarantine.ease()

    assert one.woken == 1
    assert quarantine.take(one)
    assert quarantine.closed_to(other)


def test_work_in_flight_of_the_same_partition_does_not_delay_its_quarantine(quarantine: Quarantine, one: Work) -> None:
    one.working = 1

    assert quarantine.take(one)


def test_a_second_quarantine_waits_for_the_first(quarantine: Quarantine, one: Work, other: Work) -> None:
    assert quarantine.take(one)
    assert not quarantine.take(other)

    quarantine.give(one)

    assert other.woken == 1
    assert quarantine.take(other)
    assert quarantine.closed_to(one)


def test_quarantines_take_turns(quarantine: Quarantine, one: Work, other: Work) -> None:
    quarantine.take(one)
    quarantine.take(other)

    quarantine.give(one)

    assert not quarantine.take(one)
    assert quarantine.take(other)


def test_less_work_elsewhere_does_not_end_a_quarantine(quarantine: Quarantine, one: Work, other: Work) -> None:
    quarantine.take(one)

    quarantine.ease()

    assert quarantine.closed_to(other)


def test_a_partition_that_leaves_ends_its_quarantine(quarantine: Quarantine, one: Work, other: Work) -> None:
    quarantine.take(one)

    quarantine.leave(one)

    assert other.woken
    assert not quarantine.closed_to(other)
    assert quarantine.take(other)


def test_work_in_flight_at_the_end_of_a_quarantine_delays_the_next(
    quarantine: Quarantine, one: Work, other: Work
) -> None:
    quarantine.take(one)
    one.working = 1

    quarantine.give(one)

    assert not quarantine.take(other)
    assert quarantine.closed_to(one)
