"""What one seed stands for: the input, the stage under test, the workers, the faults that come at their own time."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from schemas import topics as table
from schemas.envelope import Event
from schemas.reasons import DeadLetterReason
from schemas.settled import QuerySettled
from schemas.topics import FOR_EVER, MEBIBYTE, Topic
from tests.contracts.test_bus import Answered, Asked
from workers.engines.contact import engine_answered
from workers.errors import EngineUnavailable, Refused
from workers.pipeline import Means
from workers.settings import DEMO_DRAW_KEY, Settings
from workers.stage import StageSpec, Worker
from workers.stream.partition.producer import place

PARTITIONS = 2
IN_FLIGHT = 4
BUSY_S = 6.0  # input arrives and faults strike until then


class Used(QuerySettled):
    event_type = "test.used"


ASKED, ANSWERED, USED = (
    Topic(Asked, "query_id", timedelta(hours=1), PARTITIONS, MEBIBYTE),
    Topic(Answered, "query_id", timedelta(hours=1), PARTITIONS, MEBIBYTE),
    Topic(Used, "query_id", FOR_EVER, PARTITIONS, MEBIBYTE, cleanup="compact"),
)
for topic in (ASKED, ANSWERED, USED):
    table.BY_NAME.setdefault(topic.name, topic)
OUTPUTS = (ANSWERED.name, ASKED.dead_letters)


@dataclass(frozen=True)
class Given:
    """One input record; `value` None: a marker, or a record of an aborted transaction: nothing to be worked on."""

    at_s: float
    partition: int
    query_id: str
    value: bytes | None
    number: int = -1
    refused: bool = False
    poisonous: bool = False  # the process that works on it dies
    expires_at_s: float = float("inf")  # refused when its work begins later: a replay may have another result

    @property
    def decodes(self) -> bool:
        return self.number >= 0


@dataclass(frozen=True)
class Scenario:
    """Everything that is drawn before the run."""

    seed: int
    given: Sequence[Given]
    remembers: bool
    in_order: bool
    engine_down_s: tuple[float, float]  # no work between these times
    workers: int
    static: bool
    session_s: float
    transaction_auctions: int
    slowness_s: float
    slow_markers: float
    grid_s: float  # of time: on a coarse one much happens at the same instant
    budget: int
    intensity: float
    events: Sequence[tuple[float, str]]  # crash, freeze, broker, stop, election: at which time
    steps: Sequence[int]  # a crash at so many steps

    @classmethod
    def draw(cls, seed: int, faults: bool = True) -> "Scenario":
        rng = random.Random(f"scenario {seed}")
        remembers = rng.random() < 0.4
        kinds = ("crash", "freeze", "broker", "stop", "election")
        events = [(rng.uniform(0.5, BUSY_S), *rng.choices(kinds, (3, 3, 2, 2, 1))) for _ in range(rng.randint(0, 3))]
        return cls(
            seed=seed,
            given=_input(rng, remembers, faults),
            remembers=remembers,
            in_order=remembers or rng.random() < 0.4,
            engine_down_s=(rng.uniform(0, BUSY_S), rng.uniform(0, BUSY_S)) if faults and rng.random() < 0.2 else (0, 0),
            workers=rng.randint(2, 3),
            static=rng.random() < 0.4,
            session_s=rng.choice((1.0, 1.5, 2.5)),
            transaction_auctions=rng.choice((1, 2, 8)),
            slowness_s=rng.choice((0.0, 0.01, 0.2, 0.6, 3.0)),
            grid_s=rng.choice((0.0, 0.002, 0.01, 0.01)),
            slow_markers=rng.choice((0.0, 0.0, 0.2)),
            budget=rng.randint(2, 8) if faults else 0,
            intensity=rng.choice((0.5, 1.0, 2.0)),
            events=sorted(events) if faults else (),
            steps=sorted(rng.randint(300, 4_000) for _ in range(rng.randint(0, 2))) if faults else (),
        )

    @property
    def settings(self) -> Settings:
        return _settings(self.session_s, self.transaction_auctions)


@dataclass
class Answerer:
    """The worker under test: an answer for each record after a while of virtual time; some records it refuses."""

    scenario: Scenario
    rng: random.Random
    crash: Callable[[], None]

    async def handle(self, event: Event[Asked]) -> Sequence[Event[Any]]:
        number, data = event.data.number, event.data
        given, now = self.scenario.given[number], asyncio.get_running_loop().time
        if self.scenario.slowness_s:
            await asyncio.sleep(self.rng.uniform(0.0, self.scenario.slowness_s))
        if given.poisonous:
            self.crash()
            await asyncio.sleep(0)
        if self.scenario.engine_down_s[0] < now() < self.scenario.engine_down_s[1]:
            raise EngineUnavailable("the engine is down")
        engine_answered()
        if given.refused or now() > given.expires_at_s:
            raise Refused(DeadLetterReason.EXPIRED, "too late")
        answer = Answered(query_id=data.query_id, number=number)
        answered = event.follow(answer, source="test", auction_id=data.auction_id, time=event.time)
        if not self.scenario.remembers:
            return (answered,)
        used = Used(
            query_id=data.query_id,
            auction_id=data.auction_id,
            settled_sha256=answered.digest,
            scored_sha256=event.digest,
        )
        return answered, event.follow(used, source="test", auction_id=data.auction_id, time=event.time)


def spec(scenario: Scenario) -> StageSpec:
    """The stage that every simulated worker runs."""
    memory = USED if scenario.remembers else None
    publishes = (ANSWERED,) if memory is None else (ANSWERED, memory)
    return StageSpec("test", ASKED, publishes, _never, in_order=scenario.in_order, remembers=memory)


def _never(means: Means) -> Worker:
    raise NotImplementedError("the simulation makes its own workers")


@lru_cache
def _settings(session_s: float, transaction_auctions: int) -> Settings:
    return Settings(draw_key=DEMO_DRAW_KEY, session_timeout_s=session_s, transaction_auctions=transaction_auctions)


def _input(rng: random.Random, remembers: bool, faults: bool) -> list[Given]:
    count, ids = rng.randint(10, 22), rng.randint(3, 8)
    given: list[Given] = []
    poison = rng.randrange(2 * count) if faults and rng.random() < 0.3 else -1
    for number in range(count):
        id_ = f"q{rng.randrange(2 * count if remembers and rng.random() < 0.6 else ids)}"
        at_s, partition = BUSY_S * 0.8 * (number / count) ** 1.5, place(id_.encode(), PARTITIONS)
        if rng.random() < 0.1:
            given.append(Given(at_s, partition, id_, None))
        elif rng.random() < 0.05:
            given.append(Given(at_s, partition, id_, b"nonsense"))
        else:
            value = Asked(query_id=id_, number=number).encode()
            expires_at_s = at_s + rng.uniform(0.1, 3.0) if rng.random() < 0.3 else float("inf")
            given.append(Given(at_s, partition, id_, value, number, rng.random() < 0.1, number == poison, expires_at_s))
    return given
