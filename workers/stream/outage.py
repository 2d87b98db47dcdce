"""How a stage waits for an engine that is down: it takes no more work, and one record after the other asks again."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from schemas.envelope import Event
from schemas.payload import Payload
from workers.engines.contact import Contact, watched_contact
from workers.errors import EngineUnavailable, Refused
from workers.stage import Stage, Worker
from workers.stream.bus import Observer
from workers.stream.operator_lines import ENGINE_BACK, ENGINE_DOWN

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
DOUBLINGS = 6


class PatientWorker:
    """A worker whose engine may be down for as long as it takes: no record is refused, or lost, for that.

    `told` hears when the engine is found to be down, and when it has answered again: a record that is refused, void or
    done without asking tells nothing. Of what waits, one record asks in each pause; one that did not ask leaves its
    turn to the next.
    """

    def __init__(self, worker: Worker, told: Callable[[bool], None]) -> None:
        self._worker, self._told = worker, told
        self._failures = 0
        self._turn, self._turn_is_free = asyncio.Lock(), asyncio.Event()

    async def handle(self, event: Event[Any]) -> Sequence[Event[Payload]]:
        """What the worker makes of the event, once the engine answers."""
        while True:
            await self._wait()
            try:
                with watched_contact() as contact:
                    events = await self._worker.handle(event)
            except EngineUnavailable as error:
                self._is_down(error)
            except Refused:  # whatever was answered before, it does not say that the engine works
                self._leave_turn(contact)
                raise
            else:
                if contact.answered:
                    self._is_up()
                self._leave_turn(contact)
                return events

    async def _wait(self) -> None:
        """Nothing while the engine answers; else a pause that grows, one record's after another's."""
        if self._failures:
            async with self._turn:
                if self._failures:
                    pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures - 1, DOUBLINGS))
                    jittered_s = random.uniform(0, pause_s)  # noqa: S311  # full jitter
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._turn_is_free.wait(), jittered_s)
                    self._turn_is_free.clear()

    def _leave_turn(self, contact: Contact) -> None:
        """To the next that waits, where the engine was not asked in this one, or has answered."""
        if not contact.asked or not self._failures:
            self._turn_is_free.set()

    def _is_down(self, error: EngineUnavailable) -> None:
        if not self._failures:
            self._turn_is_free.clear()
            ENGINE_DOWN.tell(log, error=error)
            self._told(True)
        self._failures += 1

    def _is_up(self) -> None:
        if self._failures:
            ENGINE_BACK.tell(log)
            self._failures = 0
            self._told(False)


def patient(stage: Stage, observer: Observer) -> Stage:
    """The stage with a worker that waits for its engine."""
    return replace(stage, worker=PatientWorker(stage.worker, partial(observer.engine_down, stage.spec.name)))
