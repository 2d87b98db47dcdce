"""The way between a process and the broker: latency and faults."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from aiokafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError, RequestTimedOutError

from tests.simulation.api import Api
from tests.simulation.broker import Broker, Down
from tests.simulation.clock import CURRENT, NOBODY, Process, VirtualLoop
from tests.simulation.faults import Fault, Faults
from tests.simulation.trace import Trace

LATENCIES_S = (0.0003, 0.003)
FETCH_LIMIT = 6
LATE_S = (0.02, 0.1, 0.12, 0.15, 0.3, 1.0, 4.0)  # aiokafka repeats a request after 0.1


class Network:
    """`crash` and `freeze` strike a process; `trace` is told every request."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, broker: Broker, faults: Faults, trace: Trace) -> None:
        self._loop, self._rng, self._trace = loop, rng, trace
        self.broker, self.api, self.faults = broker, Api(broker), faults
        self.crash: Callable[[Process, str], None] = lambda process, why: None
        self.freeze: Callable[[Process, str], None] = lambda process, why: None
        self.over = False  # the run is judged: nobody gets an answer any more
        self.underway = 0  # requests that will be executed although nobody waits for them

    async def ask(self, kind: str, execute: Callable[[], Any], timeout_s: float = 8.0) -> Any:
        """The answer of `execute`, called at the broker. Raises as aiokafka's client does."""
        if self.over:
            raise KafkaConnectionError("the run is over")
        process, answer = CURRENT.get(), self._loop.create_future()
        fault = self.faults.strike(kind) if process is not None and process.mortal else None
        self._trace.asked(process, kind, fault)
        if process is not None and fault in (Fault.CRASH_BEFORE, Fault.FREEZE_BEFORE):
            (self.crash if fault is Fault.CRASH_BEFORE else self.freeze)(process, f"before {kind}")
            await asyncio.sleep(0)  # never comes back to a dead process, late to a frozen one
        if not self.broker.is_up:
            await asyncio.sleep(self._rng.uniform(0.005, 0.05))
            raise NodeNotReadyError("the broker is down")
        self._send(process, kind, execute, answer, fault, timeout_s)
        return await answer

    def _send(
        self,
        process: Process | None,
        kind: str,
        execute: Callable[[], Any],
        answer: "asyncio.Future[Any]",
        fault: Fault | None,
        timeout_s: float,
    ) -> None:
        there, back = self.latency_s(), self.latency_s()
        broken = KafkaConnectionError("the connection broke")
        if fault is Fault.REQUEST_LOST:
            self._later(there, _fail, answer, broken)
            return
        if fault is Fault.SILENT:
            self._later(timeout_s, _fail, answer, RequestTimedOutError())
            return
        if fault is Fault.EXECUTED_LATE:
            self._later(there, _fail, answer, broken)
            there = self._rng.choice(LATE_S) * self._rng.uniform(0.9, 1.2)
            answer = self._loop.create_future()
            answer.cancel()  # nobody waits for this one
        if fault is Fault.SLOW:
            there, back = there + self._rng.expovariate(1.5), back + self._rng.expovariate(1.5)
            self._later(timeout_s, _fail, answer, RequestTimedOutError())
        self.underway += 1
        self._later(there, self._execute, process, kind, execute, answer, fault, back, self.broker.incarnation)

    def _execute(
        self,
        process: Process | None,
        kind: str,
        execute: Callable[[], Any],
        answer: "asyncio.Future[Any]",
        fault: Fault | None,
        back: float,
        incarnation: int,
    ) -> None:
        self.underway -= 1
        try:
            result = execute()
        except Down:
            self._later(back, _fail, answer, KafkaConnectionError("the broker went down"))
            return
        except KafkaError as error:
            self._later(back, _fail, answer, error)
            return
        self._trace.answered(process, kind, result, fault)
        if process is not None and fault is Fault.CRASH_AFTER:
            self.crash(process, f"before the answer to {kind}")
        if process is not None and fault is Fault.FREEZE_AFTER:
            self.freeze(process, f"before the answer to {kind}")
        if fault is Fault.ANSWER_LOST:
            self._later(back, _fail, answer, KafkaConnectionError("the connection broke"))
        else:
            self._later(back, self._answer, answer, result, incarnation)

    def _answer(self, answer: "asyncio.Future[Any]", result: Any, incarnation: int) -> None:
        if self.broker.incarnation != incarnation:
            _fail(answer, KafkaConnectionError("the broker went down before it answered"))
        elif not answer.done():
            answer.set_result(result)

    def fetch(self, process: Process, place: tuple[str, int], position: int, found: Callable[[Any], None]) -> None:
        """Ask for records; `found` is called in the process with what `Broker.fetch` gives, None after a failure."""
        self._later(self.latency_s(), self._fetch, process, place, position, found)

    def _fetch(self, process: Process, place: tuple[str, int], position: int, found: Callable[[Any], None]) -> None:
        if process.dead:
            return
        delay_s = self.latency_s()
        try:
            records = self.broker.fetch(place, position, self._rng.randint(1, FETCH_LIMIT))
        except Down:
            records, delay_s = None, self._rng.uniform(0.05, 0.3)
        else:
            if records is None:
                self.broker.wait(place, lambda: self._fetch(process, place, position, found))
                return
            fault = self.faults.strike("Fetch") if process.mortal else None
            delay_s += self._rng.expovariate(2.0) if fault is not None else 0.0
        self._loop.call_later(delay_s, found, records, context=process.context)

    def latency_s(self) -> float:
        return self._rng.uniform(*LATENCIES_S)

    def _later(self, delay_s: float, callback: Callable[..., None], *args: Any) -> None:
        self._loop.call_later(delay_s, callback, *args, context=NOBODY)


def _fail(answer: "asyncio.Future[Any]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
