"""The records of one input partition between their fetch and their commit: waiting, in work, or finished early."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Collection, Sequence

from schemas.record import Record
from workers.errors import BrokerError
from workers.stream.offsets import WINDOW, Completion
from workers.stream.processing import Result

ABANDON_S = 2.0  # a worker may close what it holds
LARGE_BYTES = 64 * 1024  # of a value; smaller ones are bounded by their number

Begin = Callable[[Record], "asyncio.Task[Result]"]


class WorkerFailed(Exception):
    """The stage's own error, in `__cause__`: a bug, or an engine that is gone. The process must end."""


class Backlog:
    """At most `room` records are in work at once, none of them WINDOW or more beyond the first unfinished one.

    `in_order`: results are taken in the order of the input; otherwise as they are finished. Offsets may have gaps
    (markers of transactions, aborted and compacted records): only what was delivered counts.
    """

    def __init__(self, begin: Begin, *, room: int, in_order: bool) -> None:
        self.next_offset = 0  # of the first record that was not delivered yet
        self._begin, self._room, self._in_order = begin, room, in_order
        self._waiting: deque[Record] = deque()
        self._working: dict[int, asyncio.Task[Result]] = {}  # in the order of the input
        self._large: dict[int, int] = {}  # bytes of large values that wait or are in work, by offset
        self._done: frozenset[int] = frozenset()  # committed, at or beyond the first unfinished offset
        self._failed: BaseException | None = None
        self._woken = asyncio.Event()

    def __len__(self) -> int:
        """Records read and not yet committed."""
        return len(self._waiting) + len(self._working)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def large_bytes(self) -> int:
        """Bytes in large values of all these records."""
        return sum(self._large.values())

    @property
    def working(self) -> int:
        return len(self._working)

    def open_at(self, completion: Completion) -> None:
        """Deliveries begin at the committed offset; work that goes on and that it does not cover is kept."""
        self._waiting.clear()
        self._done, self.next_offset = completion.done, completion.base
        for offset in [*self._working]:
            if offset < completion.base or offset in completion.done:
                self._working.pop(offset).cancel()
        self._large = {offset: size for offset, size in self._large.items() if offset in self._working}

    def deliver(self, records: Sequence[Record]) -> None:
        """Records in order; those delivered, finished or in work before are passed over."""
        fresh = [record for record in records if record.offset >= self.next_offset]
        if fresh:
            self.next_offset = fresh[-1].offset + 1
            new = [one for one in fresh if one.offset not in self._done and one.offset not in self._working]
            self._waiting.extend(new)
            self._large |= {one.offset: size for one in new if (size := len(one.value or b"")) >= LARGE_BYTES}
            self._woken.set()

    def begin(self, room: int | None = None, begin: Begin | None = None) -> None:
        """Begin work on waiting records while there is room, or `room`, for them; with `begin` in another way."""
        room, begin, base = room or self._room, begin or self._begin, self.base()
        while self._waiting and len(self._working) < room and self._waiting[0].offset - base < WINDOW:
            record = self._waiting.popleft()
            task = self._working[record.offset] = begin(record)
            task.add_done_callback(self._wake)

    def finished(self, most: int) -> list[Result]:
        """Up to `most` results that can be committed now. WorkerFailed, or BrokerError: a record has none."""
        ended = self._front(most) if self._in_order else [task for task in self._working.values() if task.done()]
        good = [task for task in ended if _error(task) is None]
        if self._failed is not None or len(good) < len(ended):
            self._fail([error for task in ended if (error := _error(task)) is not None], at_once=not good)
        return [task.result() for task in good[:most]]

    def _front(self, most: int) -> list["asyncio.Task[Result]"]:
        """What is finished in front, and the first that failed: nothing behind it may overtake it."""
        front = list(itertools.takewhile(asyncio.Task.done, itertools.islice(self._working.values(), most)))
        good = list(itertools.takewhile(lambda task: _error(task) is None, front))
        return front[: len(good) + 1]

    def _fail(self, errors: Sequence[BaseException], *, at_once: bool) -> None:
        """Raise the first error, but let what is finished be committed once before."""
        if self._failed is None and not at_once:
            self._failed = errors[0]
            return
        error = self._failed or errors[0]
        if isinstance(error, BrokerError):
            raise error
        raise WorkerFailed from error

    def after(self, results: Collection[Result]) -> Completion:
        """Where the partition stands once `results` are committed."""
        finished = {result.offset for result in results}
        base = self.base(finished)
        return Completion(base, frozenset(offset for offset in self._done | finished if offset >= base))

    def commit(self, results: Collection[Result], completion: Completion) -> None:
        """`results` are committed."""
        for result in results:
            self.forget(result.offset)
        self._done, self.next_offset = completion.done, max(self.next_offset, completion.base)

    def forget(self, offset: int) -> None:
        """Its work is not kept: it was committed, or has to begin anew when it is delivered again."""
        del self._working[offset]
        self._large.pop(offset, None)

    def skip_to(self, offset: int) -> Completion:
        """Where the partition stands if nothing is stored below `offset` that was not finished."""
        self.next_offset, self._done = offset, frozenset(done for done in self._done if done >= offset)
        return Completion(offset, self._done)

    def base(self, finished: Collection[int] = ()) -> int:
        """The first offset that is not finished, `finished` taken for done; work kept from before may be beyond it."""
        first_waiting = self._waiting[0].offset if self._waiting else self.next_offset
        base = min(first_waiting, *(offset for offset in self._working if offset not in finished), self.next_offset)
        while base in self._done or base in finished:  # not delivered again yet
            base += 1
        return base

    async def woken(self, within_s: float) -> bool:
        """Wait for a delivery or a finished record; False when nothing comes."""
        try:
            async with asyncio.timeout(within_s):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    def wake(self) -> None:
        """Let `woken` return."""
        self._woken.set()

    def _wake(self, _: object) -> None:
        self._woken.set()

    async def abandon(self) -> None:
        """Cancel what is in work, and forget everything; what does not end at once is nobody's any more."""
        tasks = [*self._working.values()]
        self._working.clear()
        self._waiting.clear()
        self._large.clear()
        self._failed = None
        for task in tasks:
            task.cancel()
            task.add_done_callback(_error)
        if tasks:
            await asyncio.wait(tasks, timeout=ABANDON_S)


def _error(task: "asyncio.Task[Result]") -> BaseException | None:
    """Why a finished task has no result."""
    return asyncio.CancelledError("the worker was cancelled from within") if task.cancelled() else task.exception()
