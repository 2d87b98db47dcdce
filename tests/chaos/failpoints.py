"""A transactional producer that dies, freezes or fails where it is told to, and notes what it did."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from workers.settings import Settings
from workers.stream.connection.clients import REQUEST_TIMEOUT_MS, Clients

BEGIN, SENDS, OFFSETS, COMMIT = "begin", "sends", "offsets", "commit"
POINTS = (BEGIN, SENDS, OFFSETS, COMMIT)  # begun, all sent and answered, offsets sent, committed
KILL, STOP, RAISE, ABORT = "kill", "stop", "raise", "abort"


class Armoury:
    """A file says what happens next: `<action>@<point>`; another gets a line for whatever happened.

    Both outlive the process: what is armed and has not fired is for the next process of that name.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.armed, self.events = folder / f"{name}.armed", folder / f"{name}.events.jsonl"

    def arm(self, action: str, point: str) -> None:
        draft = self.armed.with_suffix(".draft")
        draft.write_text(f"{action}@{point}")
        draft.rename(self.armed)

    @property
    def is_armed(self) -> bool:
        return self.armed.exists()

    def disarm(self) -> None:
        self.armed.unlink(missing_ok=True)

    def take(self, point: str) -> str | None:
        """What is to happen at this point now; it is not armed any more then."""
        if not self.armed.exists():
            return None
        action, _, at = self.armed.read_text().partition("@")
        if at != point:
            return None
        self.disarm()
        return action

    def note(self, event: str, **fields: object) -> None:
        """One line, written before anything else happens."""
        line = json.dumps({"event": event, "pid": os.getpid(), "t_s": time.monotonic(), **fields})
        with self.events.open("a") as file:
            file.write(line + "\n")


class FailPointProducer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka ships no types
    """Notes: `start`, `first` (its first commit), `fired`, `error`, and `woke` with how the frozen commit ended."""

    def __init__(self, armoury: Armoury, **options: Any) -> None:
        super().__init__(**options)
        self._armoury, self._id = armoury, options["transactional_id"]
        self._has_committed = self._was_stopped = False

    async def start(self) -> None:
        await super().start()
        self._armoury.note("start", id=self._id)

    async def begin_transaction(self) -> None:
        await super().begin_transaction()
        await self._point(BEGIN)

    async def send_offsets_to_transaction(self, offsets: Any, group_id: str) -> None:
        await self._point(SENDS)
        await self._noted(SENDS, super().send_offsets_to_transaction(offsets, group_id))

    async def commit_transaction(self) -> None:
        await self._point(OFFSETS)
        await self._noted(OFFSETS, super().commit_transaction())
        if not self._has_committed:
            self._has_committed = True
            self._armoury.note("first", id=self._id)
        await self._point(COMMIT)

    async def _noted(self, at: str, step: Any) -> None:
        stopped, self._was_stopped = self._was_stopped, False
        try:
            await step
        except (KafkaError, AssertionError, asyncio.CancelledError) as error:
            self._armoury.note("woke" if stopped else "error", id=self._id, at=at, result=repr(error)[:200])
            raise
        if stopped:
            self._armoury.note("woke", id=self._id, at=at, result="ok")

    async def _point(self, point: str) -> None:
        action = self._armoury.take(point)
        if action is None:
            return
        self._armoury.note("fired", id=self._id, action=action, at=point)
        if action == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if action == STOP:
            self._was_stopped = True
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        if action == ABORT and point != COMMIT:
            await super().abort_transaction()
        raise KafkaError(f"fail-point: {action} at {point}")


class FaultyClients(Clients):
    """The real ones, but for the transactional producers."""

    def __init__(self, settings: Settings, armoury: Armoury) -> None:
        super().__init__(settings)
        self._armoury = armoury

    def producer(self, **options: Any) -> Any:
        if "transactional_id" not in options:
            return super().producer(**options)
        return FailPointProducer(self._armoury, **self._connection, request_timeout_ms=REQUEST_TIMEOUT_MS, **options)
