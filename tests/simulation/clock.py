"""An event loop whose time is virtual: when nothing is ready it jumps to the next timer, so waiting costs nothing.

It knows which simulated process every callback belongs to: those of a dead process are dropped, so nothing of it runs
on, no `finally` either; those of a frozen one are held until it thaws.
"""

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any


class Process:
    """What dies and freezes as one: everything that was started in its context. Only workers are mortal."""

    def __init__(self, name: str, *, mortal: bool = True) -> None:
        self.name, self.mortal = name, mortal
        self.dead = self.frozen = False
        self.held: list[asyncio.Handle] = []
        self.context: Context = copy_context()
        self.context.run(CURRENT.set, self)


CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)
NOBODY = copy_context()  # the broker's and the simulation's own


class Stuck(Exception):
    """Nothing is ready and no timer is set: somebody waits for ever; or a limit of steps is reached."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Virtual seconds from 0. `before_step` is called before each callback of a process, with that process."""

    def __init__(self, most_steps: int) -> None:
        super().__init__()
        self.now_s = 0.0
        self.grid_s = 0.0  # timers ring at multiples of this: things then happen in the same instant
        self.steps = 0
        self.before_step: Callable[[Process], None] | None = None
        self.errors: list[dict[str, Any]] = []
        self._most_steps = most_steps
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_count = 0
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        return self.now_s

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        if self.grid_s:
            when = math.ceil(when / self.grid_s) * self.grid_s
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timer_count += 1
        heapq.heappush(self._timers, (when, self._timer_count, timer))
        return timer

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def thaw(self, process: Process) -> None:
        process.frozen = False
        self._ready.extend(process.held)
        process.held.clear()

    def allow(self, steps: int) -> None:
        """So many from here on, whatever the limit was."""
        self._most_steps = self.steps + steps

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers
        if not ready and not self._stopping:
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not timers:
                raise Stuck("nothing is ready and no timer is set")
            self.now_s = max(self.now_s, timers[0][0])
        while timers and timers[0][0] <= self.now_s:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                self._step(handle)

    def _step(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(CURRENT)
        if process is not None:
            if self.before_step is not None:
                self.before_step(process)
            if process.dead or process.frozen:  # a dead one's are kept for the burial
                process.held.append(handle)
                return
        self.steps += 1
        if self.steps > self._most_steps:
            raise Stuck(f"more than {self._most_steps} steps")
        handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are dropped when their time comes."""

    def _process_events(self, event_list: Any) -> None: ...
    def _write_to_self(self) -> None: ...
