"""What a process knows of one input partition, and what follows from it: no I/O, no clock, no event loop.

In goes what happened: the partition was opened, records were delivered, work on one has ended, a transaction was
committed, or refused for its size, a run ended in doubt. Out comes what to do: which records to begin, what to commit
next, whether to fetch, how long to pause. The actor (processor.py) does it, and says how it went.
"""

import itertools
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from schemas.record import Outgoing, Record
from workers.errors import BrokerError
from workers.stream.offsets import NOTHING_KNOWN, WINDOW, Completion
from workers.stream.partition.crash_count import CRASHED, Attempts, found, found_again
from workers.stream.processing import OVERSIZED, Result, Unworkable

LARGE_BYTES = 64 * 1024  # of a value; smaller ones are bounded by their number
MOST_LARGE_BYTES = 64 * 1024 * 1024  # delivered and not yet committed
FAILURES_ALLOWED, GOOD_RUN_S = 8, 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0


class WorkerFailed(Exception):
    """The stage's own error, in `__cause__`: a bug, or an engine that is gone. The process must end."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction: the results that it publishes, and where the partition stands with them."""

    finished: Completion
    attempts: Attempts
    results: Sequence[Result] = ()

    @property
    def completion(self) -> Completion:
        """What is committed beside the offset."""
        return replace(self.finished, attempts=self.attempts.number)

    @property
    def outgoing(self) -> Iterator[Outgoing]:
        """What is to be published, made as it is sent."""
        return (record for result in self.results for record in result.outgoing)


class PartitionState:
    """A record is delivered and waits, then it is in work, then finished; once committed it is forgotten.

    At most `room` are in work at once, none of them WINDOW or more beyond the first unfinished one. `in_order`: results
    are committed in the order of the input; otherwise as they are finished; at most `most` in one transaction. Offsets
    may have gaps (markers of transactions, aborted and compacted records): only what was delivered counts.
    """

    def __init__(self, room: int, *, in_order: bool, most: int) -> None:
        self.committed = NOTHING_KNOWN  # for all that is known
        self.attempts = Attempts()  # as committed
        self.next_offset = 0  # of the first record that was not delivered yet
        self.is_paused = False  # nothing is fetched for now
        self.sends_singly = False  # each record in a batch of its own: one of several was too large, and which?
        self.failures = 0  # runs in a row that ended in doubt
        self._room, self._in_order, self._most = room, in_order, most
        self._waiting: deque[Record] = deque()
        self._working: dict[int, Result | BaseException | None] = {}  # in the order of the input; None: not finished
        self._large: dict[int, int] = {}  # bytes of large values that wait or are in work, by offset
        self._failed: BaseException | None = None
        self._oversized: dict[int, Unworkable] = {}  # for records that lead to more than a topic takes
        self._has_learnt = False  # of one of these, in this run

    def __len__(self) -> int:
        """Records delivered and not yet committed."""
        return len(self._waiting) + len(self._working)

    def __contains__(self, offset: int) -> bool:
        """Whether work on it was begun, and is kept."""
        return offset in self._working

    @property
    def may_begin(self) -> bool:
        """Whether a record waits, and for no other one's end."""
        return bool(self._waiting) and not (self.attempts.alone and self._working)

    @property
    def working(self) -> int:
        """Records that were begun and are not yet committed."""
        return len(self._working)

    # Step 1: open
    def opened(self, completion: Completion, *, is_excused: bool = False) -> None:
        """Kafka says that `completion` is committed: deliveries begin there, work that it does not cover is kept.

        `is_excused`: its newest attempt was no death.
        """
        if self.committed is NOTHING_KNOWN:
            self.attempts = found(completion.attempts - is_excused, self._room)
        else:
            moved = completion.base > self.committed.base
            self.attempts = found_again(completion.attempts, self.attempts, self._room, moved=moved)
        self.committed, self.next_offset = completion, completion.base
        self._waiting.clear()
        for offset in [*self._working]:
            if offset < completion.base or offset in completion.done:
                del self._working[offset]
        self._large = {offset: size for offset, size in self._large.items() if offset in self._working}

    # Step 2: process
    def deliver(self, records: Sequence[Record]) -> bool:
        """Records in order; those delivered, finished or in work before are passed over. Whether any is left."""
        fresh = [record for record in records if record.offset >= self.next_offset]
        if fresh:
            self.next_offset = fresh[-1].offset + 1
            new = [one for one in fresh if one.offset not in self.committed.done and one.offset not in self._working]
            self._waiting.extend(new)
            self._large |= {one.offset: size for one in new if (size := len(one.value or b"")) >= LARGE_BYTES}
        return bool(fresh)

    def begin(self) -> list[tuple[Record, Unworkable | None]]:
        """The records to begin with now, as there is room for them; why one must not be worked on, if so."""
        begun, base = list[tuple[Record, Unworkable | None]](), self.base()
        room = 1 if self.attempts.alone or self.attempts.hopeless else self._room
        while self._waiting and len(self._working) < room and self._waiting[0].offset - base < WINDOW:
            record = self._waiting.popleft()
            self._working[record.offset] = None
            begun.append((record, CRASHED if self.attempts.hopeless else self._oversized.get(record.offset)))
        return begun

    def ended(self, offset: int, outcome: Result | BaseException) -> None:
        """Work on a record has ended; it is passed over if that is committed already."""
        if offset in self._working:
            self._working[offset] = outcome

    @property
    def must_pause(self) -> bool:
        """Backpressure: while more records wait than may be in work, until none waits; or large ones fill memory."""
        most = 0 if self.is_paused else self._room
        return len(self._waiting) > most or sum(self._large.values()) > MOST_LARGE_BYTES

    # Step 3: commit
    def next_commit(self) -> Commit | None:
        """What is finished, if anything is. WorkerFailed, or BrokerError: a record has no result."""
        results = self._results()
        return self._after(results) if results else None

    def idle_commit(self, position: int, end: int) -> Commit | None:
        """Past what holds no record (markers of transactions), so that an idle group's lag becomes 0. `position`: the
        next offset to be fetched; `end`: the partition's stable end.

        Deaths are forgotten with it: what others died of is finished, or it would be here.
        """
        if len(self) or position < self.next_offset:
            return None  # asked again when the partition is idle for another second
        is_blamed = self.attempts.deaths > 0 and position == end
        if position <= self.committed.base and not is_blamed:
            return None
        done = frozenset(offset for offset in self.committed.done if offset >= position)
        return Commit(Completion(position, done), Attempts(begun=self.attempts.begun))

    def last_commit(self) -> Commit | None:
        """What is finished, and the attempt is taken back: nothing is begun any more."""
        commit = self._after(self._results())
        last = replace(commit, attempts=commit.attempts.release())
        return last if last.results or last.attempts.number != self.attempts.number else None

    def acknowledged(self, commit: Commit) -> None:
        """It is committed."""
        for result in commit.results:
            self._forget(result.offset)
        self.committed, self.attempts = commit.completion, commit.attempts
        self.next_offset = max(self.next_offset, commit.completion.base)

    def after(self, results: Collection[Result]) -> Completion:
        """What is finished once `results` are committed."""
        finished = {result.offset for result in results}
        base = self.base(finished)
        return Completion(base, frozenset(offset for offset in self.committed.done | finished if offset >= base))

    def base(self, finished: Collection[int] = ()) -> int:
        """The first offset that is not finished, `finished` taken for done; work kept from before may be beyond it."""
        first_waiting = self._waiting[0].offset if self._waiting else self.next_offset
        base = min(first_waiting, *(offset for offset in self._working if offset not in finished), self.next_offset)
        while base in self.committed.done or base in finished:  # not delivered again yet
            base += 1
        return base

    def _after(self, results: Sequence[Result]) -> Commit:
        completion, attempts = self.after(results), self.attempts
        only = results and (attempts.alone or attempts.hopeless)  # then nothing but the first unfinished is in work
        moved = only or completion.base > self.base()
        return Commit(completion, attempts.passed(len(results)) if moved else attempts, results)

    def _results(self) -> list[Result]:
        """Up to `most`. What is finished is committed once more before a failure is raised."""
        ended = [*self._outcomes()]
        good = [one for one in ended if isinstance(one, Result)]
        failed = self._failed or next((one for one in ended if isinstance(one, BaseException)), None)
        if failed is not None and (self._failed is not None or not good):
            if isinstance(failed, BrokerError):
                raise failed
            raise WorkerFailed from failed
        self._failed = failed
        return good[: self._most]

    def _outcomes(self) -> Iterator[Result | BaseException]:
        """In order, only what ended in front, and the first that failed: nothing behind it may overtake it."""
        for one in itertools.islice(self._working.values(), self._most if self._in_order else None):
            if one is not None:
                yield one
            if self._in_order and not isinstance(one, Result):
                return

    # Step 4: doubt
    def too_large(self, commit: Commit, numbers: Collection[int]) -> None:
        """A topic did not take some of `commit.outgoing` for their size: those of `numbers`, or it is not known which.

        Records that led to them are delivered again, and refused then.
        """
        self.sends_singly = not numbers  # until it is known whose fault it is
        owners = [result.offset for result in commit.results for _ in range(result.count)]
        guilty = {owner for number, owner in enumerate(owners) if number in numbers}
        self._has_learnt = self._has_learnt or not guilty <= self._oversized.keys()
        self._oversized |= dict.fromkeys(guilty, OVERSIZED)
        for offset in guilty:
            self._forget(offset)

    def doubted(self, ran_s: float) -> float:
        """A run of `ran_s` seconds ended in doubt; how many to pause before the next. Failures are in a row while none
        of the runs between them is a good one, and none has found the cause: then trying again is no repetition.
        """
        self.failures = 1 if self._has_learnt or ran_s > GOOD_RUN_S else self.failures + 1
        self._has_learnt = False
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**self.failures)

    # Step 5: leave
    def abandon(self) -> None:
        """Nothing is in work or waits any more."""
        self._working.clear()
        self._waiting.clear()
        self._large.clear()
        self._failed = None

    def _forget(self, offset: int) -> None:
        """Its work is not kept: it was committed, or has to begin anew when it is delivered again."""
        del self._working[offset]
        self._large.pop(offset, None)
