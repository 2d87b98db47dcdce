"""Where stores are kept: a folder of this machine, or a temporary one where that cannot be used."""

import asyncio
import contextlib
import logging
import tempfile
from pathlib import Path
from typing import Protocol

from workers.errors import SettingsError
from workers.settings import Settings
from workers.stream.deduplication.rocks import RocksStore
from workers.stream.deduplication.store import Store, StoreFailed, StoreLocked
from workers.stream.deduplication.window import Window
from workers.stream.operator_lines import STORE_IN_TEMPORARY_FOLDER
from workers.stream.wire.partitioner import Placement
from workers.user_folders import state_folder

log = logging.getLogger(__name__)

LOCKED_S, LOOK_EVERY_S = 5.0, 0.1


class Stores(Protocol):
    """What this machine keeps for whoever owns a partition next."""

    async def open(self, placement: Placement, number: int) -> Store:
        """The store of a partition: what it held when it was closed, or nothing."""

    def leave(self, name: str, note: str) -> None:
        """Keep a note; nothing is kept where that cannot be."""

    def take(self, name: str) -> str:
        """The note of that name, which is gone then; "" without one."""


class StateFolder:
    """Stores in TESSERA_STATE_FOLDER, each in a folder of its own.

    A folder that another process uses is waited for, for `locked_s`: after a rebalance its former owner is about to
    close it. One that stays locked or cannot be written is no reason to stop: then the partition is restored from Kafka
    into a temporary folder, which takes longer, and which is said in the log.
    """

    def __init__(self, settings: Settings, locked_s: float = LOCKED_S) -> None:
        self._given, self._segment_ms = settings.state_folder, Window.of(settings).segment_ms
        self._locked_s = locked_s

    async def open(self, placement: Placement, number: int) -> Store:
        """An id that lies here belongs here only while there are as many partitions: with others it is emptied."""
        name = f"{placement.topic}/{number} of {placement.count}"
        try:
            return await self._unlocked(self._folder / f"{placement.topic}-{number}", name)
        except (StoreFailed, SettingsError) as error:
            STORE_IN_TEMPORARY_FOLDER.tell(log, store=name, error=error)
        return _TemporaryStore(tempfile.TemporaryDirectory(prefix="tessera-"), name, self._segment_ms)

    async def _unlocked(self, folder: Path, name: str) -> RocksStore:
        """The store in the folder. StoreLocked: somebody else has had it open all the time."""
        for _ in range(round(self._locked_s / LOOK_EVERY_S)):
            with contextlib.suppress(StoreLocked):
                return RocksStore(folder, name, self._segment_ms)
            await asyncio.sleep(LOOK_EVERY_S)
        return RocksStore(folder, name, self._segment_ms)

    def leave(self, name: str, note: str) -> None:
        with contextlib.suppress(OSError, SettingsError):
            self._folder.mkdir(parents=True, exist_ok=True)
            written = self._note(name).with_suffix(".new")
            written.write_text(note)
            written.replace(self._note(name))

    def take(self, name: str) -> str:
        with contextlib.suppress(OSError, SettingsError, UnicodeDecodeError):
            note = self._note(name).read_text()
            self._note(name).unlink()
            return note
        return ""

    def _note(self, name: str) -> Path:
        return self._folder / f"{name}.note"

    @property
    def _folder(self) -> Path:
        return Path(self._given) if self._given else state_folder() / "ids"


class _TemporaryStore(RocksStore):
    """A store that is gone when it is closed."""

    def __init__(self, place: "tempfile.TemporaryDirectory[str]", name: str, segment_ms: int) -> None:
        self._place = place
        super().__init__(Path(place.name), name, segment_ms)

    def close(self) -> None:
        super().close()
        self._place.cleanup()
