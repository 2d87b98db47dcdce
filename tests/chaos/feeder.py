"""Feeds a campaign's queries to the broker in transactions, one in five of which it aborts, never far ahead."""

import contextlib
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.topics import MEBIBYTE, QUERIES
from tests.chaos.queries import Asked, Batch, Queries

STEP_S = 10.0
PATIENCE_S = 120.0  # for one step, over restarts of the broker
PAUSE_S = 0.02
TAIL_S = 60.0  # in which the last queries come as long as `lingers` says so
MAX_BYTES = 24 * MEBIBYTE


class Feeder:
    """A thread.

    `backlog` is the most records that may be committed and have no end yet, `rate_hz` the most that come a second;
    `committed` are there before it. The last queries come slowly while `lingers`: there is traffic for what has to
    happen yet.
    """

    def __init__(
        self,
        servers: str,
        queries: Queries,
        plan: Path,
        backlog: int,
        ended: Callable[[], int],
        rate_hz: float = math.inf,
        committed: int = 0,
        lingers: Callable[[], bool] = lambda: False,
    ) -> None:
        self.committed, self.aborted_batches = committed, 0
        self._lingers, self._tail_from = lingers, committed + queries.tail_from
        self._tail_hz, self._tail_s = max(1.0, (queries.count - queries.tail_from) / TAIL_S), math.inf
        self.error: BaseException | None = None
        self._servers, self._queries, self._plan = servers, queries, plan
        self._backlog, self._finished, self._rate_hz = backlog, ended, rate_hz
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(PATIENCE_S + STEP_S)

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._plan.open("a") as plan:
                self._producer = _producer(self._servers)
                self._feed(plan.write)
        except BaseException as error:  # noqa: BLE001 - the driver's thread raises it
            self.error = error

    def _feed(self, write: Callable[[str], object]) -> None:
        began_s = time.monotonic()
        for batch in self._queries.batches():
            while self._is_ahead(began_s) and not self._stopping.is_set():
                time.sleep(PAUSE_S)
            if self._stopping.is_set():
                return
            self._deliver(batch)
            if not batch.aborted:
                write("".join(f"{asked.plan()}\n" for asked in batch.records))
                self.committed += len(batch.records)

    def _is_ahead(self, began_s: float) -> bool:
        allowed = (time.monotonic() - began_s) * self._rate_hz
        is_ahead = self.committed - self._finished() > self._backlog or self.committed > allowed
        return is_ahead or self._has_to_linger()

    def _has_to_linger(self) -> bool:
        if self.committed < self._tail_from or not self._lingers():
            return False
        self._tail_s = min(self._tail_s, time.monotonic())
        return self.committed > self._tail_from + (time.monotonic() - self._tail_s) * self._tail_hz

    def _deliver(self, batch: Batch) -> None:
        """In a transaction; once more if the broker wants it aborted."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            _retry(self._producer.begin_transaction, deadline)
            if self._try(batch, deadline):
                return

    def _try(self, batch: Batch, deadline: float) -> bool:
        try:
            for asked in batch.records:
                _send(self._producer, asked)
            if batch.aborted:
                self._producer.flush(STEP_S)
            else:
                _retry(lambda: self._producer.commit_transaction(STEP_S), deadline)
                return True
        except KafkaException as error:
            if not _needs_abort(error):
                raise
            self._abort(deadline)
            return False
        self._abort(deadline)
        self.aborted_batches += 1
        return True

    def _abort(self, deadline: float) -> None:
        """Abort; where librdkafka and a restarted broker disagree about whether there is anything, begin anew."""
        try:
            _retry(lambda: self._producer.abort_transaction(STEP_S), deadline)
        except KafkaException as error:
            reason = error.args[0]
            if not (isinstance(reason, KafkaError) and reason.fatal()):
                raise
            self._producer = _producer(self._servers)  # its first step aborts whatever there is


def _producer(servers: str) -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "transactional.id": "chaos.feeder",
            "partitioner": "murmur2_random",
            "message.max.bytes": MAX_BYTES,
            "compression.type": "zstd",
            "linger.ms": 5,
            "log_level": 0,
        }
    )
    deadline = time.monotonic() + PATIENCE_S
    _retry(lambda: producer.init_transactions(STEP_S), deadline)
    return producer


def _send(producer: Producer, asked: Asked) -> None:
    while True:
        with contextlib.suppress(BufferError):
            producer.produce(QUERIES.name, key=asked.key, value=asked.value, headers=list(asked.headers))
            return
        producer.poll(PAUSE_S)


def _retry(step: Callable[[], object], deadline: float) -> None:
    """Repeat a step of a transaction for as long as librdkafka says that repeating it makes sense."""
    while True:
        try:
            step()
            return
        except KafkaException as error:
            reason = error.args[0]
            if not (isinstance(reason, KafkaError) and reason.retriable()) or time.monotonic() > deadline:
                raise


def _needs_abort(error: KafkaException) -> bool:
    reason = error.args[0]
    return isinstance(reason, KafkaError) and reason.txn_requires_abort()
