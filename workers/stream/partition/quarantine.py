"""One partition of a process at a time works alone, while no other has anything in work: a death has one suspect."""

from typing import Protocol


class PartitionWork(Protocol):
    """The work of one input partition."""

    @property
    def working(self) -> int:
        """How many of its records are being worked on."""

    def wake(self) -> None:
        """It may begin again, or has the turn to work alone: look."""


class Quarantine:
    """Shared by all partitions of a process; nobody waits in it: who may not begin asks again when woken.

    A turn is kept until it is given back, over doubts too: the attempt that is noted in Kafka must not become the death
    of another's record.
    """

    def __init__(self) -> None:
        self._members: list[PartitionWork] = []
        self._queue: list[PartitionWork] = []  # who asked to work alone; the first has the turn

    def join(self, member: PartitionWork) -> None:
        """This partition has work from now on."""
        self._members.append(member)

    def leave(self, member: PartitionWork) -> None:
        """It has no more: its turn goes to the next, and it counts as idle."""
        self._members.remove(member)
        self.give(member)
        self.ease()

    def closed_to(self, member: PartitionWork) -> bool:
        """Whether another works alone, or is about to: nothing may be begun."""
        return bool(self._queue) and self._queue[0] is not member

    def take(self, member: PartitionWork) -> bool:
        """Ask to work alone. From the first that asks on nobody else begins anything; True once all others are idle."""
        if member not in self._queue:
            self._queue.append(member)
        return self._queue[0] is member and not any(other.working for other in self._members if other is not member)

    def give(self, member: PartitionWork) -> None:
        """Work alone no more; who asks again is the last of those who wait."""
        if member in self._queue:
            self._queue.remove(member)
            self._wake_all()

    def ease(self) -> None:
        """Somebody has less in work than before."""
        if self._queue:
            self._wake_all()

    def _wake_all(self) -> None:
        for member in self._members:
            member.wake()
