"""One partition of a process at a time works alone, while no other has anything in work: a death has one suspect."""

from typing import Protocol


class Member(Protocol):
    """The work of one input partition."""

    @property
    def working(self) -> int: ...

    def wake(self) -> None: ...


class Solo:
    """Shared by all partitions of a process; nobody waits in it: who may not begin asks again when woken."""

    def __init__(self) -> None:
        self._members: list[Member] = []
        self._holder: Member | None = None

    def join(self, member: Member) -> None:
        self._members.append(member)

    def leave(self, member: Member) -> None:
        self._members.remove(member)
        self.stir(member)

    def closed_to(self, member: Member) -> bool:
        """Whether another works alone, or is about to: nothing may be begun."""
        return self._holder is not None and self._holder is not member

    def take(self, member: Member) -> bool:
        """Ask to work alone. From the first that asks on nobody else begins anything; True once all others are idle."""
        self._holder = self._holder or member
        return self._holder is member and not any(other.working for other in self._members if other is not member)

    def stir(self, member: Member) -> None:
        """The member works alone no more, or has less in work than before."""
        if self._holder is None:
            return
        if self._holder is member:
            self._holder = None
        for other in self._members:
            other.wake()
