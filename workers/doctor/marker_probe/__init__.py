"""Does this Kafka lose commit markers? Transactions, kill −9, restart, and what was promised against what was kept.

Kafka 4.3.x and 4.4.0 can complete a committed transaction without writing its markers when a broker dies and comes
back: the offset is as before, so the work is done again, and the next marker of the same id commits both.
"""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

from workers.devkafka import DevelopmentBroker
from workers.devkafka.jars import kafka_version
from workers.doctor.marker_probe.comparison import Comparison, ProbeReport, Round, compare
from workers.doctor.marker_probe.kept import committed_offsets, make_topic, visible_records
from workers.doctor.marker_probe.owner import Owner, all_open
from workers.errors import BrokerError
from workers.settings import Settings
from workers.stream.connection.clients import Clients
from workers.stream.partition.producer import WriterLost

Note = Callable[[str], None]
MAX_IDS, MAX_ROUNDS = 256, 1_000
LOAD_S = (1.0, 3.0)  # how long transactions run before the kill, at random: the kill must not fall into step
FIRST_ANSWERS_TIMEOUT_S = 60.0
POLL_S = 0.01
#: The probe's own broker has no users, whatever the environment says of yours.
UNPROTECTED = {
    "security_protocol": "PLAINTEXT",
    "allow_plaintext": True,
    "sasl_username": "",
    "tls_certificate_file": "",
}
SKIPPED = "likely deleted already and hence can be skipped"  # the broker's words for a marker that it gave up


async def probe_markers(
    scratch: Path,
    version: str | None,
    ids: int,
    rounds: int,
    note: Callable[[str], None],
    done: Callable[[Round], None],
) -> ProbeReport:
    """Kill and restart a broker of its own, in the folder `scratch`, as many times as there are `rounds`.

    `ids` transactional ids are at work at the moment of each kill. `version`: of Kafka, without one the version that
    the development broker has. `note` is told what takes long, `done` each round. BrokerError, MissingProgram: the
    broker does not start, or what it answers cannot be compared. No process is left behind.
    """
    if not (1 <= ids <= MAX_IDS and 1 <= rounds <= MAX_ROUNDS):
        raise BrokerError(f"a probe has 1 to {MAX_IDS} ids and 1 to {MAX_ROUNDS} rounds")
    broker = DevelopmentBroker(scratch, note=note, version=version)
    try:
        await asyncio.to_thread(broker.start)
        probe = _Probe(broker, ids)
        await probe.begin()
        made = [await probe.round(number, done) for number in range(1, rounds + 1)]
        at_the_end = await probe.finish()
    except WriterLost as error:
        raise BrokerError(f"the probe cannot go on, a transactional id cannot be used: {error}") from error
    finally:
        broker.kill()
    return ProbeReport(version or kafka_version(), ids, tuple(made), at_the_end)


class _Probe:
    """The broker, its owners, and the steps of a round."""

    def __init__(self, broker: DevelopmentBroker, ids: int) -> None:
        self._broker = broker
        self._clients = Clients(Settings.read(bootstrap_servers=broker.bootstrap_servers, **UNPROTECTED))
        self._owners = [Owner(self._clients, number) for number in range(ids)]

    async def begin(self) -> None:
        await make_topic(self._clients, len(self._owners))
        await all_open(self._owners)

    async def round(self, number: int, done: Callable[[Round], None]) -> Round:
        """1. Transactions of all ids. 2. Kill in their midst, restart. 3. Initialise each id. 4. Compare.

        The transactions that the kill meets are not given up: a client asks again, and has its answer after the
        restart. 5. Go on where the committed offsets say.
        """
        answered, started = self._answered(), self._started()
        restart_s = await self._transactions_through_a_restart()
        transactions = self._answered() - answered
        unanswered = self._started() - started - transactions
        await all_open(self._owners)
        found = await self._compare()
        skipped = self._broker.log_since_start().count(SKIPPED)
        result = Round(number, transactions, unanswered, restart_s, skipped, found)
        done(result)
        return result

    async def finish(self) -> Comparison:
        """One more transaction of each id, whose marker also commits what hangs; then compare, and let go."""
        await asyncio.gather(*(owner.transaction() for owner in self._owners))
        await all_open(self._owners)
        found = await self._compare()
        await asyncio.gather(*(owner.close() for owner in self._owners))
        return found

    async def _transactions_through_a_restart(self) -> float:
        """How long the restart took, s."""
        stop, before = asyncio.Event(), [owner.answered for owner in self._owners]
        tasks = [asyncio.create_task(owner.run(stop)) for owner in self._owners]
        try:
            await self._until_each_answered(before)
            await asyncio.sleep(random.uniform(*LOAD_S))  # noqa: S311  # no secret
            self._broker.kill()
            began = time.monotonic()
            stop.set()
            await asyncio.to_thread(self._broker.start)
            restart_s = time.monotonic() - began
            await asyncio.gather(*tasks)
            return restart_s
        finally:
            for task in tasks:
                task.cancel()

    async def _until_each_answered(self, before: list[int]) -> None:
        deadline = time.monotonic() + FIRST_ANSWERS_TIMEOUT_S
        while any(owner.answered == count for owner, count in zip(self._owners, before, strict=True)):
            if time.monotonic() > deadline:
                raise BrokerError(f"not every id could commit a transaction within {FIRST_ANSWERS_TIMEOUT_S:g} s")
            await asyncio.sleep(POLL_S)

    async def _compare(self) -> Comparison:
        committed = await committed_offsets(self._clients, self._owners)
        visible = await visible_records(self._clients)
        for owner in self._owners:
            owner.go_on_at(committed[owner.number])
        return compare({owner.number: owner.acknowledged for owner in self._owners}, committed, visible)

    def _answered(self) -> int:
        return sum(owner.answered for owner in self._owners)

    def _started(self) -> int:
        return sum(owner.started for owner in self._owners)
