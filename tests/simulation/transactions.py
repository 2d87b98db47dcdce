"""The transaction coordinator: producer ids and epochs, fencing, two-phase ends whose markers come later."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import ConcurrentTransactions, InvalidProducerEpoch, InvalidTxnState, KafkaError

from tests.simulation.log import Fate

Place = tuple[str, int]  # topic and partition; ("group", 0) of a group's offsets
Error = type[KafkaError] | None


@dataclass
class Transaction:
    """One transactional id."""

    pid: int
    epoch: int = -1
    timeout_s: float = 60.0
    state: str = "empty"  # empty, ongoing, ending, committed, aborted
    places: set[Place] = field(default_factory=set)
    unmarked: set[Place] = field(default_factory=set)
    fate: Fate = Fate.OPEN
    timer: asyncio.TimerHandle | None = None


class TransactionCoordinator:
    """`write_marker(place, pid, epoch, fate)` ends a transaction there; `later(delay_s, callback, *args)` calls."""

    def __init__(
        self, write_marker: Callable[..., None], later: Callable[..., Any], note: Callable[[str], None]
    ) -> None:
        self._write_marker, self._later, self._note = write_marker, later, note
        self.by_id: dict[str, Transaction] = {}
        self._by_pid: dict[int, Transaction] = {}

    def initialise(self, id_: str, timeout_s: float) -> tuple[Error, int, int]:
        """Fence every earlier producer and settle its transaction; then a new epoch."""
        txn = self.by_id.get(id_)
        if txn is None:
            txn = self.by_id[id_] = Transaction(1_000 + len(self.by_id))
            self._by_pid[txn.pid] = txn
        txn.timeout_s = timeout_s
        if txn.state == "ongoing":
            self._note("fenced open transaction")
            txn.epoch += 1
            self._end(txn, Fate.ABORTED)
        if txn.state == "ending":
            return ConcurrentTransactions, -1, -1
        txn.epoch, txn.state = txn.epoch + 1, "empty"
        return None, txn.pid, txn.epoch

    def add(self, id_: str, pid: int, epoch: int, places: list[Place]) -> Error:
        txn = self.by_id.get(id_)
        if txn is None or txn.pid != pid or txn.epoch != epoch:
            self._note("fenced producer")
            return InvalidProducerEpoch
        if txn.state == "ending":
            return ConcurrentTransactions
        if txn.state != "ongoing":
            txn.state, txn.places = "ongoing", set()
            txn.timer = self._later(txn.timeout_s, self._expire, txn, epoch)
        txn.places.update(places)
        return None

    def end(self, id_: str, pid: int, epoch: int, commit: bool) -> Error:
        txn, fate = self.by_id.get(id_), Fate.COMMITTED if commit else Fate.ABORTED
        if txn is None or txn.pid != pid or txn.epoch != epoch:
            self._note("fenced producer")
            return InvalidProducerEpoch
        if txn.state == "ongoing":
            self._end(txn, fate)
            return None
        if txn.state == "ending":
            return ConcurrentTransactions if txn.fate is fate else InvalidTxnState
        return None if txn.state == fate.value else InvalidTxnState

    def permits(self, pid: int, epoch: int, place: Place) -> bool:
        txn = self._by_pid.get(pid)
        return txn is not None and txn.epoch == epoch and txn.state == "ongoing" and place in txn.places

    @property
    def busy(self) -> list[str]:
        """Ids with a transaction that is not over."""
        return [id_ for id_, txn in self.by_id.items() if txn.state in ("ongoing", "ending")]

    def _expire(self, txn: Transaction, epoch: int) -> None:
        if txn.state == "ongoing" and txn.epoch == epoch:
            self._note("transaction timed out")
            txn.epoch += 1
            self._end(txn, Fate.ABORTED)

    def _end(self, txn: Transaction, fate: Fate) -> None:
        txn.state, txn.fate, txn.unmarked = "ending", fate, set(txn.places)
        if txn.timer is not None:
            txn.timer.cancel()
        for place in sorted(txn.places):
            self._later(None, self._mark, txn, txn.epoch, place)

    def _mark(self, txn: Transaction, epoch: int, place: Place) -> None:
        self._write_marker(place, txn.pid, epoch, txn.fate)
        txn.unmarked.discard(place)
        if not txn.unmarked:
            txn.state, txn.timer = txn.fate.value, None
