"""One round: a fresh broker behind a proxy, workers, queries, faults by their schedule, and the verdict."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from tests.chaos.faults import Faults
from tests.chaos.feeder import Feeder
from tests.chaos.fleet import Fleet
from tests.chaos.notes import Holders
from tests.chaos.plan import Outcome, Plan
from tests.chaos.proxied_broker import proxied_brokers
from tests.chaos.proxy import Proxy
from tests.chaos.queries import Queries
from tests.chaos.restarts import Restarts, Trouble
from tests.chaos.schedule import Appointment, appointments
from tests.chaos.strangers import write_strangers
from tests.chaos.verdict import Verdict, judge, witness
from tests.chaos.watch import Watch, percentile
from workers.devkafka.ports import free_ports
from workers.pipeline import GROUPS, PATH, STAGES
from workers.settings import Settings
from workers.stream.admin.description import describe_topics
from workers.stream.admin.first_offsets import initialise_offsets
from workers.stream.admin.topics import create_topics

SESSION_S = 3.0
HOLD_S = SESSION_S + 2.0  # how long a zombie sleeps
HEALED_WITHIN_S = 120.0
LOOK_S = 0.05
SAMPLE_S = 2.0
MEBIBYTE = 1024 * 1024
DEADLINE_S = 3_600  # of the queries: what is tested is that they end once, not that they end in time
PLAN = "plan.jsonl"
BRIEF = ("latency", "reset")  # troubles that nobody waits for
AFTERMATH_S = 3.0  # after a trouble, in which a kill's recovery is not its own


class Round:
    """Runs a plan in a folder. The broker, the proxy and the workers end with it, whatever happens."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan, self._folder = plan, folder
        folder.mkdir(parents=True)
        self._queries = Queries(plan.auctions, plan.seed)
        self._sampled_s = self._began_s = time.monotonic()
        self._lacks_faults = True  # some of what is planned has not happened yet

    def run(self) -> Outcome:
        """Feed, break, heal, check. AssertionError: it does not come to its end in time."""
        with ExitStack() as stack:
            self._proxy = stack.enter_context(Proxy(*free_ports(self._plan.nodes), seed=self._plan.seed))
            self._broker = proxied_brokers(self._folder / "broker", self._proxy.ports)
            self._broker.start()
            stack.callback(self._broker.stop)
            asyncio.run(_create_topics(self._broker.bootstrap_servers))
            self._strangers = asyncio.run(self._write_strangers())
            self._watch = stack.enter_context(Watch(self._broker.bootstrap_servers))
            self._witness = stack.enter_context(ExitStack())
            self._witness.enter_context(witness(self._broker.bootstrap_servers, self._folder))
            self._fleet = stack.enter_context(self._workers())
            self._resources = stack.enter_context((self._folder / "resources.jsonl").open("w"))
            return self._campaign(stack)

    def _campaign(self, stack: ExitStack) -> Outcome:
        plan, holders = self._plan, Holders(self._fleet)
        self._schedule = appointments(plan.faults, plan.auctions + self._strangers, plan.seed)
        restarts = Restarts(self._broker, plan.seed, fills=plan.fills_offsets)
        faults = Faults(restarts, self._proxy, self._fleet, holders, plan.seed)
        feeder = self._feeder()
        stack.callback(feeder.stop)
        feeder.start()
        self._began_s = time.monotonic()
        while not feeder.is_done or self._schedule:
            self._step(feeder, holders, faults)
        faults.heal()
        healing_s = time.monotonic()
        while self._watch.ended < feeder.committed:
            self._step(feeder, holders, faults)
            assert time.monotonic() - healing_s < HEALED_WITHIN_S, self._lost(feeder)
        asyncio.run(_until_no_lag(self._broker.bootstrap_servers, healing_s + HEALED_WITHIN_S))
        self._witness.close()
        self._resources.flush()
        return self._outcome(feeder, holders, faults, healing_s)

    async def _write_strangers(self) -> int:
        if not self._plan.has_strangers:
            return 0
        return await write_strangers(self._broker.bootstrap_servers, self._queries, self._folder / PLAN)

    def _feeder(self) -> Feeder:
        return Feeder(
            self._broker.bootstrap_servers,
            self._queries,
            self._folder / PLAN,
            self._plan.backlog,
            lambda: self._watch.ended,
            self._plan.rate_hz,
            self._strangers,
            lambda: self._lacks_faults,
        )

    def _step(self, feeder: Feeder, holders: Holders, faults: Faults) -> None:
        self._watch.look(LOOK_S, is_waiting=feeder.committed > self._watch.ended)
        holders.update()
        faults.tend()
        self._sample()
        if feeder.error is not None:
            raise feeder.error
        if not self._schedule and not feeder.is_done:
            self._make_again(self._happened(feeder, holders, faults), is_settled=not faults.are_pending)
        if self._schedule and self._watch.ended >= self._schedule[0].after and faults.do(self._schedule[0].fault):
            self._schedule.popleft()
        took_s = time.monotonic() - self._began_s
        assert took_s < self._plan.limit_s, (
            f"the round takes longer than {self._plan.limit_s:g} s: {self._lost(feeder)}"
        )

    def _make_again(self, happened: Mapping[str, int], *, is_settled: bool) -> None:
        """What chance did not make of a planned fault is made once more, until it has happened or traffic ends."""
        missing = [name for name, planned in self._plan.faults.items() if happened[name] < planned]
        self._lacks_faults = bool(missing)
        if is_settled:
            self._schedule.extend(Appointment(0, name) for name in missing)

    def _sample(self) -> None:
        now = time.monotonic()
        if now - self._sampled_s < SAMPLE_S:
            return
        self._sampled_s = now
        for replica in self._fleet.running():
            try:
                process = psutil.Process(replica.process.pid)
                used = {"rss_mib": round(process.memory_info().rss / MEBIBYTE, 1), "fds": process.num_fds()}
            except psutil.Error:
                continue
            line = {"t_s": round(now - self._began_s, 1), "process": f"{replica.name} {replica.process.pid}", **used}
            self._resources.write(json.dumps(line) + "\n")

    def _lost(self, feeder: Feeder) -> str:
        return f"{self._watch.ended} of {feeder.committed} records have ended; see the logs in {self._folder}"

    def _outcome(self, feeder: Feeder, holders: Holders, faults: Faults, healing_s: float) -> Outcome:
        healed_s = time.monotonic() - healing_s
        holders.update()
        zombies, happened = holders.zombies(self._fleet.thaws), self._happened(feeder, holders, faults)
        recoveries = holders.recoveries()
        took = [(one, _amid(one.killed_s, one.took_s, faults.troubles)) for one in recoveries if one.took_s is not None]
        verdict = self._verdict(happened)
        return Outcome(
            auctions=feeder.committed,
            seed=self._plan.seed,
            planned=dict(self._plan.faults),
            happened=happened,
            exits=dict(self._fleet.exits),
            duration_s=healing_s - self._began_s,
            healed_s=healed_s,
            stall_s=self._watch.longest_stall_s,
            latency_ms={f"p{share}": percentile(self._watch.latencies_ms, share / 100) for share in (50, 99)},
            recovery_s=[round(one.took_s or 0.0, 2) for one, amid in took if not amid],
            recovery_amid_others_s=[round(one.took_s or 0.0, 2) for one, amid in took if amid],
            idle_kills=len(recoveries) - len(took),
            zombies={
                "frozen": len(zombies),
                "taken_over": sum(zombie.taken_over for zombie in zombies),
                "fenced": sum(zombie.fenced for zombie in zombies),
            },
            waste=verdict.waste,
            findings=verdict.findings,
        )

    def _happened(self, feeder: Feeder, holders: Holders, faults: Faults) -> dict[str, int]:
        """How often each fault has happened by now."""
        zombies = holders.zombies(self._fleet.thaws)
        return faults.happened() | {
            "zombie": sum(zombie.is_proven and not zombie.before_commit for zombie in zombies),
            "zombie_before_commit": sum(zombie.is_proven and zombie.before_commit for zombie in zombies),
            "input_aborted": feeder.aborted_batches,
            "poison": self._queries.made["poison"],
            "duplicates": self._queries.made["duplicates"],
            "strangers": self._strangers,
        }

    def _verdict(self, happened: Mapping[str, int]) -> Verdict:
        """The checker's, told what had to happen."""
        planned = {**self._plan.faults, "input_aborted": self._queries.made["input_aborted"]}
        faults = {name: {"planned": count, "happened": happened[name]} for name, count in planned.items()}
        return judge(self._broker.bootstrap_servers, self._folder, faults)

    @contextmanager
    def _workers(self) -> Iterator[Fleet]:
        settings = {"session_timeout_s": SESSION_S, "deadline_s": DEADLINE_S, "without": self._plan.without}
        fleet = Fleet(self._folder, self._proxy.address, HOLD_S, **settings)
        try:
            for stage in PATH:
                for number in range(self._plan.replicas):
                    fleet.add(stage, f"{stage}-{number}", str(number) if self._plan.is_static else "")
            yield fleet
        finally:
            fleet.end()


def _amid(killed_s: float, took_s: float | None, troubles: list[Trouble]) -> bool:
    """Whether something else was broken while the victim's partitions waited."""
    until_s = killed_s + (took_s or 0.0)
    serious = [one for one in troubles if one.fault not in BRIEF]
    return any(one.from_s < until_s and killed_s < one.until_s + AFTERMATH_S for one in serious)


async def _create_topics(servers: str) -> None:
    settings = Settings.read(bootstrap_servers=servers, allow_plaintext=True)
    await create_topics(settings)
    await initialise_offsets(settings, GROUPS)


async def _until_no_lag(servers: str, deadline_s: float) -> None:
    groups = {STAGES[name].group: STAGES[name].consumes.name for name in PATH}
    settings = Settings.read(bootstrap_servers=servers, allow_plaintext=True)
    while True:
        states = await describe_topics(settings, groups)
        lags = {group.group: group.lag_records for state in states for group in state.groups}
        if set(lags.values()) == {0}:
            return
        assert time.monotonic() < deadline_s, f"lag {lags} after {HEALED_WITHIN_S:g} s without faults"
        await asyncio.sleep(LOOK_S * 10)
