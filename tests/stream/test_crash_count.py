"""Which record is given up after which deaths, played through: processes that die, end in order, or lose Kafka."""

from dataclasses import dataclass, field

import pytest

from workers.stream.partition.crash_count import DEATHS_BEFORE_ALONE, MOST_DEATHS, Attempts, found, found_again

ROOM = 4


@dataclass
class Partition:
    """A partition whose record `killer` ends every process that works on it."""

    killer: int
    stored: int = 0
    base: int = 0
    given_up: list[int] = field(default_factory=list)
    deaths: int = 0

    def live(self, until: int = 12) -> None:
        """One process: it works in order, up to ROOM records at once, until it dies or nothing is left."""
        attempts = found(self.stored, ROOM)
        while self.base < until:
            if attempts.hopeless:
                self.given_up.append(self.base)
                attempts = self._commit(attempts, 1)
                continue
            if not attempts.begun:
                attempts = attempts.begin()
                self.stored = attempts.number
            room = 1 if attempts.alone else ROOM
            if self.base <= self.killer < self.base + room:
                self.deaths += 1
                return
            attempts = self._commit(attempts, min(room, until - self.base))

    def _commit(self, attempts: Attempts, records: int) -> Attempts:
        self.base += records
        attempts = attempts.passed(records)
        self.stored = attempts.number
        return attempts


@pytest.mark.parametrize("killer", range(12))
def test_only_the_record_that_kills_its_worker_is_given_up_and_after_three_crashes(killer: int) -> None:
    partition = Partition(killer)
    for _ in range(10):
        partition.live()

    assert (partition.given_up, partition.base) == ([killer], 12)
    assert MOST_DEATHS <= partition.deaths <= MOST_DEATHS + DEATHS_BEFORE_ALONE  # two may be spent on finding it


def test_crashes_with_progress_between_them_give_up_no_record() -> None:
    partition = Partition(killer=-1)
    for until in range(1, 60):
        partition.live(until)  # and dies: nothing is taken back

    assert (partition.given_up, partition.base) == ([], 59)


def test_a_worker_that_shuts_down_in_order_takes_back_its_attempt() -> None:
    stored = 0
    for _ in range(10):
        stored = found(stored, ROOM).begin().release().number
    assert stored == 0


def test_an_uncertain_commit_is_not_counted_as_a_crash() -> None:
    known = found(1, ROOM).begin()

    again = found_again(known.number, known, ROOM, moved=False)
    lost = found_again(known.deaths, known, ROOM, moved=False)

    assert (again.deaths, again.begun) == (1, True)
    assert (lost.deaths, lost.begun) == (1, False)  # our own mark did not arrive
    assert found_again(1, known, ROOM, moved=True).deaths == 0


def test_crashes_of_other_owners_meanwhile_put_the_partition_in_quarantine() -> None:
    """A frozen process comes back: two others have died in its place."""
    again = found_again(3, found(0, ROOM), ROOM, moved=False)
    assert again.alone and not found(0, ROOM).alone


def test_a_crash_while_no_record_was_begun_does_not_count() -> None:
    stored = found(0, ROOM).begin().passed(1).number  # one record done, the partition idle
    for _ in range(5):
        stored = found(stored, ROOM).number  # opened, no record came, killed

    assert stored == 1 and not found(stored, ROOM).alone
