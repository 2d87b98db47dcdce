"""Which entries were counted: the last few by id, all before them by offset. Immutable, in bounded memory."""

from typing import NamedTuple

GENERATION = 32  # ids that are added before the oldest as many may be forgotten
GENERATIONS = 8


class RecentIds(NamedTuple):
    """The last 224 to 256 ids, and the offset up to which all are counted.

    The records of one account lie in one partition of their topic, and readers get them in order, some of them again.
    So an id that is no longer held, at an offset up to `forgotten`, was counted. An id that comes again at a *new*
    offset is known as long as it is held; exactly-once publishing makes none, and the audit looks for them
    (`double_charge`).
    """

    generations: tuple[frozenset[str], ...] = (frozenset(),)  # the newest first
    newest: tuple[int, ...] = (-1,)  # the largest offset of each generation
    forgotten: int = -1

    def holds(self, id_: str, offset: int) -> bool:
        """Whether the entry was counted."""
        if offset <= self.forgotten:
            return True
        for ids in self.generations:  # `any` costs as much again as the look-ups
            if id_ in ids:
                return True
        return False

    def add(self, id_: str, offset: int) -> "RecentIds":
        """With one id more, which is not held; now and then the oldest generation is forgotten."""
        youngest, *older = self.generations
        latest, *before = self.newest
        if len(youngest) < GENERATION:
            return RecentIds((youngest | {id_}, *older), (max(latest, offset), *before), self.forgotten)
        generations, newest = (frozenset((id_,)), *self.generations), (offset, *self.newest)
        if len(generations) <= GENERATIONS:
            return RecentIds(generations, newest, self.forgotten)
        return RecentIds(generations[:-1], newest[:-1], max(self.forgotten, newest[-1]))
