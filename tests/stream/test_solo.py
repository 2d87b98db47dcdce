"""Who may begin work while one partition of a process works alone."""

from dataclasses import dataclass

import pytest

from workers.stream.solo import Solo


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


def test_without_a_suspect_everybody_may_begin(solo: Solo, one: Work, other: Work) -> None:
    solo.ease()

    assert not solo.closed_to(one) and not solo.closed_to(other)
    assert not one.woken and not other.woken


def test_who_asks_waits_for_what_the_others_have_in_work_and_they_begin_no_more(
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


def test_its_own_work_is_no_hindrance(solo: Solo, one: Work) -> None:
    one.working = 1

    assert solo.take(one)


def test_the_second_that_asks_waits_for_the_first(solo: Solo, one: Work, other: Work) -> None:
    assert solo.take(one)
    assert not solo.take(other)

    solo.give(one)

    assert other.woken == 1
    assert solo.take(other)
    assert solo.closed_to(one)


def test_who_has_had_a_turn_is_the_last_to_have_the_next(solo: Solo, one: Work, other: Work) -> None:
    solo.take(one)
    solo.take(other)

    solo.give(one)

    assert not solo.take(one)
    assert solo.take(other)


def test_less_work_of_others_does_not_end_a_turn(solo: Solo, one: Work, other: Work) -> None:
    solo.take(one)

    solo.ease()

    assert solo.closed_to(other)


def test_who_leaves_gives_way(solo: Solo, one: Work, other: Work) -> None:
    solo.take(one)

    solo.leave(one)

    assert other.woken
    assert not solo.closed_to(other)
    assert solo.take(other)


def test_work_that_outlives_its_turn_holds_up_the_next(solo: Solo, one: Work, other: Work) -> None:
    solo.take(one)
    one.working = 1

    solo.give(one)

    assert not solo.take(other)
    assert solo.closed_to(one)
