"""What any bus must do: one suite, the memory bus and Kafka."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar, Literal

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from schemas import topics as table
from schemas.envelope import Event
from schemas.identity import derive
from schemas.payload import Identifier, Payload
from schemas.reasons import DeadLetterReason, RepeatReason
from schemas.record import Outgoing, Record
from schemas.topics import MEBIBYTE, Topic
from tests.support.new_topics import make_topics
from workers.engines.contact import engine_answered, engine_asked
from workers.errors import EngineGone, EngineUnavailable, OffsetLost, Refused, UpgradeFirst
from workers.settings import Settings
from workers.stage import Stage, StageSpec
from workers.stream import outage
from workers.stream.admin.first_offsets import initialise_offsets
from workers.stream.bus import Bus, Observer
from workers.stream.connection.admin_client import TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.kafka import KafkaBus
from workers.stream.memory import MemoryBus
from workers.stream.partition import lag
from workers.stream.partition.crash_count import MOST_DEATHS

WAIT_S = 60.0
IN_FLIGHT = 4


class Asked(Payload):
    event_type: ClassVar[str] = "test.asked"
    query_id: Identifier
    number: int
    kind: Literal["plain"] = "plain"

    @property
    def auction_id(self) -> str:
        """Each number is an auction of its own."""
        return derive("auction", str(self.number))


class Answered(Asked):
    event_type: ClassVar[str] = "test.answered"


@dataclass
class Journal:
    """An observer that writes everything down."""

    committed_numbers: list[int] = field(default_factory=list)
    refusals: list[tuple[str, DeadLetterReason]] = field(default_factory=list)
    repeats: list[RepeatReason] = field(default_factory=list)
    down: list[bool] = field(default_factory=list)
    lags: list[tuple[int, float]] = field(default_factory=list)
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def committed(self, events: Iterable[Event[Any]]) -> None:
        self.committed_numbers += [event.data.number for event in events if isinstance(event.data, Asked)]

    def refused(self, stage: str, reason: DeadLetterReason) -> None:
        self.refusals.append((stage, reason))

    def repeated(self, stage: str, reason: RepeatReason) -> None:
        self.repeats.append(reason)

    def assigned(self, stage: str, ready: bool) -> None:
        if ready:
            self.ready.set()

    def handled(self, stage: str, duration_s: float) -> None: ...
    def transaction(self, stage: str, result: str, duration_s: float, auctions: int) -> None: ...
    def in_flight(self, stage: str, count: int) -> None: ...

    def lag(self, stage: str, records: int, age_s: float) -> None:
        self.lags.append((records, age_s))

    def rebalanced(self, stage: str) -> None: ...
    def producer_reopened(self, stage: str) -> None: ...
    def stale_position(self, stage: str) -> None: ...

    def kafka_down(self, stage: str, is_down: bool) -> None: ...

    def engine_down(self, stage: str, is_down: bool) -> None:
        self.down.append(is_down)


@dataclass
class Answerer:
    """A worker under test: it answers each record after its turn, refuses some, and breaks at one."""

    refuses: Callable[[int], bool] = lambda number: False
    answers: Callable[[int], bool] = lambda number: True  # whether the engine is asked for this one
    breaks_at: int | None = None
    is_down: bool = False
    holds: int | None = None  # this one waits until `released`
    released: asyncio.Event = field(default_factory=asyncio.Event)
    working: int = 0
    most_working: int = 0
    heard: list[int] = field(default_factory=list)

    async def handle(self, event: Event[Asked]) -> Sequence[Event[Answered]]:
        number = event.data.number
        self.heard.append(number)
        self.working += 1
        self.most_working = max(self.most_working, self.working)
        try:
            if self.is_down:
                raise EngineUnavailable("no connection")
            if self.answers(number):
                engine_asked()
                engine_answered()
            if number == self.holds:
                await self.released.wait()
            for _ in range(7 - number % 7):  # the later of seven finish first
                await asyncio.sleep(0)
        finally:
            self.working -= 1
        if number == self.breaks_at:
            raise EngineGone("the model is gone")
        if self.refuses(number):
            raise Refused(DeadLetterReason.EXPIRED, "too late")
        answer = Answered(query_id=event.data.query_id, number=number)
        return (event.follow(answer, source="test", auction_id=str(number), time=event.time),)


@dataclass
class Rig:
    """A bus with one stage between two topics of its own."""

    bus: Bus
    stage: Stage
    answerer: Answerer
    journal: Journal
    answered: Topic
    kafka: bool

    async def publish(self, numbers: Iterable[int], query_id: str = "q") -> None:
        values = [Asked(query_id=query_id, number=number).encode() for number in numbers]
        name = self.stage.spec.consumes.name
        await self.bus.publish([Outgoing(name, query_id.encode(), value) for value in values])

    @asynccontextmanager
    async def running(self) -> AsyncIterator["asyncio.Task[None]"]:
        stop = asyncio.Event()
        task = asyncio.create_task(self.bus.run([self.stage], stop))
        try:
            if self.kafka:
                await asyncio.wait_for(self.journal.ready.wait(), WAIT_S)
            yield task
        finally:
            stop.set()
            await asyncio.wait([task], timeout=WAIT_S)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Callable[[int], Any]]:
        """What the stage publishes from now on: ask for so many records."""
        names = (self.answered.name, self.stage.spec.consumes.dead_letters)
        async with self.bus.read(names) as records:
            iterator = aiter(records)

            async def take(count: int) -> list[Record]:
                return [await asyncio.wait_for(anext(iterator), WAIT_S) for _ in range(count)]

            yield take


def topic(payload: type[Payload], name: str) -> Topic:
    named = type(payload.__name__, (payload,), {"event_type": name, "__module__": __name__})
    return Topic(named, "query_id", timedelta(hours=1), 1, MEBIBYTE)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Rig:
    return await rig_with(request, monkeypatch, Answerer())


async def rig_with(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, answerer: Answerer, *memory: Topic
) -> Rig:
    """The rig on the bus that the fixture's parameter names; `memory` is the topic of a stage that remembers."""
    name = f"test.{uuid.uuid4().hex}"
    asked, answered = topic(Asked, f"{name}.asked"), topic(Answered, f"{name}.answered")
    for each in (asked, answered, *memory):
        monkeypatch.setitem(table.BY_NAME, each.name, each)
    journal = Journal()
    monkeypatch.setattr(f"{__name__}.Answered", answered.payload)
    remembers = memory[0] if memory else None
    spec = StageSpec(name, asked, (answered, *memory), lambda means: answerer, remembers=remembers)
    stage = Stage(spec, answerer, IN_FLIGHT)
    if request.param == "memory":
        return Rig(MemoryBus(journal), stage, answerer, journal, answered, kafka=False)
    bus = await kafka_bus(request.getfixturevalue("kafka"), spec, journal)
    return Rig(bus, stage, answerer, journal, answered, kafka=True)


async def kafka_bus(bootstrap_servers: str, spec: StageSpec, journal: Observer) -> KafkaBus:
    settings = Settings.read(bootstrap_servers=bootstrap_servers, session_timeout_s=3, transaction_auctions=8)
    async with Clients(settings).cluster() as cluster:
        kept_for_ever = {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}  # longer than any window
        stamped = {topic.name: kept_for_ever for topic in spec.publishes}
        plain: dict[str, dict[str, str]] = {spec.consumes.name: {}, spec.consumes.dead_letters: {}, spec.positions: {}}
        await make_topics(cluster, [TopicPlan(name, 1, 1, configs) for name, configs in (plain | stamped).items()])
    await initialise_offsets(settings, {spec.group: spec.consumes.name})
    return KafkaBus(settings, journal)


def numbers(records: Iterable[Record]) -> list[int]:
    return [Asked.decode(record.value).number for record in records]


async def test_each_record_has_one_result_in_the_order_of_the_input(rig: Rig) -> None:
    async with rig.reading() as take, rig.running():
        await rig.publish(range(100))
        assert numbers(await take(100)) == list(range(100))


async def test_no_more_records_than_the_limit_are_in_flight(rig: Rig) -> None:
    async with rig.reading() as take, rig.running():
        await rig.publish(range(60))
        await take(60)
    assert 1 < rig.answerer.most_working <= IN_FLIGHT


async def test_a_refused_record_is_a_dead_letter_and_the_rest_goes_on(rig: Rig) -> None:
    rig.answerer.refuses = lambda number: number % 3 == 0
    async with rig.reading() as take, rig.running():
        await rig.publish(range(9))
        records = await take(9)

    letters = [record for record in records if record.topic.endswith(".dlq")]
    assert sorted(numbers(letters)) == [0, 3, 6]
    assert dict(letters[0].headers)["dlq.reason"] == b"EXPIRED"
    assert numbers(record for record in records if record not in letters) == [1, 2, 4, 5, 7, 8]


async def test_a_record_that_cannot_be_decoded_is_a_dead_letter(rig: Rig) -> None:
    async with rig.reading() as take, rig.running():
        await rig.bus.publish([Outgoing(rig.stage.spec.consumes.name, b"k", b"nonsense", (("h", b"\xff"),))])
        (letter,) = await take(1)
    assert (letter.key, letter.value, letter.headers[0]) == (b"k", b"nonsense", ("h", b"\xff"))


async def test_an_error_that_is_not_the_records_fault_ends_the_run(rig: Rig) -> None:
    rig.answerer.breaks_at = 5
    async with rig.reading() as take, rig.running() as run:
        await rig.publish(range(5))
        assert numbers(await take(5)) == [0, 1, 2, 3, 4]
        await rig.publish([5, 6])
        await asyncio.wait([run], timeout=WAIT_S)
        with pytest.raises(EngineGone):
            run.result()
        # Then nothing of that record was published, and nothing behind it
        await rig.bus.publish([Outgoing(rig.answered.name, b"q", Answered(query_id="q", number=99).encode())])
        assert numbers(await take(1)) == [99]


async def test_results_finished_before_a_failure_are_published(rig: Rig) -> None:
    rig.answerer.breaks_at = 3
    async with rig.reading() as take:
        async with rig.running() as run:
            await rig.publish(range(6))
            assert numbers(await take(3)) == [0, 1, 2]
            await asyncio.wait([run], timeout=WAIT_S)
        with pytest.raises(EngineGone):
            run.result()


async def test_the_observer_is_told_of_each_committed_result_once(rig: Rig) -> None:
    rig.answerer.refuses = lambda number: number == 2
    async with rig.reading() as take, rig.running():
        await rig.publish(range(6))
        await take(6)
        while len(rig.journal.committed_numbers) + len(rig.journal.refusals) < 6:
            await asyncio.sleep(0.01)
    assert rig.journal.committed_numbers == [0, 1, 3, 4, 5]
    assert rig.journal.refusals == [(rig.stage.spec.name, DeadLetterReason.EXPIRED)]


async def test_a_run_that_is_stopped_ends_without_an_error(rig: Rig) -> None:
    async with rig.running() as run:
        pass
    assert run.result() is None


async def test_a_reader_sees_only_what_is_published_after_it_began(rig: Rig) -> None:
    early = Outgoing(rig.answered.name, b"q", Answered(query_id="q", number=1).encode())
    await rig.bus.publish([early])
    async with rig.reading() as take:
        await rig.bus.publish([replace(early, value=Answered(query_id="q", number=2).encode())])
        assert numbers(await take(1)) == [2]


async def test_stored_returns_every_record_from_first_to_last(rig: Rig) -> None:
    # Given records that came before anybody read, on two topics, the stage's own written in transactions
    rig.answerer.refuses = lambda number: number == 4
    async with rig.reading() as take, rig.running():
        await rig.publish(range(9))
        await take(9)
    names = [rig.stage.spec.consumes.name, rig.answered.name]

    # When they are asked for
    stored = [record async for record in rig.bus.stored(names)]

    # Then all are there, in order, and it ends
    assert {record.topic for record in stored} == set(names)
    assert numbers(record for record in stored if record.topic == names[0]) == list(range(9))
    assert numbers(record for record in stored if record.topic == names[1]) == [0, 1, 2, 3, 5, 6, 7, 8]
    times = [record.timestamp_ms for record in stored]
    assert times == sorted(times)
    by_broker = {record.topic for record in stored if record.stamped_by_broker}
    assert by_broker == ({names[1]} if rig.kafka else set(names))  # as the topic says; memory stamps whatever it takes


async def test_stored_since_some_offsets_returns_what_lies_there_or_behind(rig: Rig) -> None:
    name = rig.stage.spec.consumes.name
    assert dict(await rig.bus.ends([name])) == {(name, 0): 0}
    await rig.publish(range(5))

    assert dict(await rig.bus.ends([name])) == {(name, 0): 5}
    for since in (3, 5):
        stored = [record async for record in rig.bus.stored([name], since={(name, 0): since})]
        assert numbers(stored) == list(range(since, 5))


async def test_stored_returns_nothing_of_an_empty_topic(rig: Rig) -> None:
    assert [record async for record in rig.bus.stored([rig.answered.name])] == []


async def test_while_the_engine_is_down_records_wait_and_none_is_refused(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "FIRST_PAUSE_S", 0.01)
    rig.answerer.is_down = True
    async with rig.reading() as take, rig.running() as run:
        await rig.publish(range(6))
        while rig.journal.down != [True] or len(rig.answerer.heard) < 10:
            await asyncio.sleep(0.01)
        assert not run.done()
        rig.answerer.is_down = False
        assert numbers(await take(6)) == [0, 1, 2, 3, 4, 5]
    assert (rig.journal.down, rig.journal.refusals) == ([True, False], [])


@pytest.mark.parametrize("rig", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)
async def test_the_lag_is_what_is_stored_and_not_committed_also_while_nothing_is_fetched(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(lag, "PERIOD_S", 0.05)

    async def until(records: int) -> float:
        """The age with so many records behind."""
        async with asyncio.timeout(WAIT_S):
            while not rig.journal.lags or rig.journal.lags[-1][0] != records:
                await asyncio.sleep(0.01)
        return rig.journal.lags[-1][1]

    rig.answerer.is_down = True
    async with rig.running():
        assert await until(0) == 0.0
        await rig.publish(range(20))
        age_s = await until(20)
        await rig.publish(range(20, 40))  # the backlog is full: these are not fetched
        assert await until(40) > age_s
        rig.answerer.is_down = False
        assert await until(0) == 0.0


async def test_only_one_record_at_a_time_asks_an_engine_that_is_down(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "FIRST_PAUSE_S", 3_600.0)
    monkeypatch.setattr(outage, "LONGEST_PAUSE_S", 3_600.0)
    rig.answerer.is_down = True
    async with rig.running():
        await rig.publish(range(20))
        while not rig.answerer.heard:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # were there a second round, it would come at once
        assert rig.answerer.heard == list(range(len(rig.answerer.heard)))
        assert len(rig.answerer.heard) <= IN_FLIGHT  # those that had begun before the first failed


async def test_a_value_of_a_newer_release_stops_the_stage_and_loses_nothing(rig: Rig) -> None:
    """However often a supervisor starts it again: the record is nobody's fault, and no worker died of it."""
    newer = b'{"query_id":"q","number":1,"kind":"newer"}'
    await rig.publish([0])
    await rig.bus.publish([Outgoing(rig.stage.spec.consumes.name, b"q", newer)])
    place = f"{rig.stage.spec.consumes.name}/0/1"

    for _ in range(MOST_DEATHS + 2):
        with pytest.raises(UpgradeFirst, match=f"{place}: kind.*upgrade {rig.stage.spec.name} first"):
            await asyncio.wait_for(rig.bus.run([rig.stage], asyncio.Event()), WAIT_S)

    assert rig.journal.refusals == []
    assert [record async for record in rig.bus.stored([rig.stage.spec.consumes.dead_letters])] == []
    if rig.kafka:
        assert rig.answerer.heard == [0]  # what was finished before it is committed, and not done again


KAFKA = [pytest.param("kafka", marks=pytest.mark.kafka)]


@pytest.fixture
def hasty(rig: Rig) -> Rig:
    """The rig with a stage that commits what is finished, whatever is missing before it."""
    object.__setattr__(rig.stage.spec, "in_order", False)  # another row of the table
    return rig


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_records_finished_out_of_order_are_committed_and_never_repeated(hasty: Rig) -> None:
    # Given a first record that takes its time
    hasty.answerer.holds, hasty.answerer.released = 0, asyncio.Event()
    async with hasty.reading() as take:
        async with hasty.running():
            await hasty.publish(range(4))

            # When the others are finished, they are published, and the run is stopped
            assert sorted(numbers(await take(3))) == [1, 2, 3]
        hasty.answerer.heard.clear()
        hasty.journal.ready.clear()

        # Then the next run works on the first one only, and goes on behind the others
        hasty.answerer.released.set()
        async with hasty.running():
            await hasty.publish([4])
            assert sorted(numbers(await take(2))) == [0, 4]
    assert sorted(hasty.answerer.heard) == [0, 4]
    assert sorted(hasty.journal.committed_numbers) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_an_ordered_stage_publishes_in_the_order_of_its_input(rig: Rig) -> None:
    rig.answerer.holds, rig.answerer.released = 0, asyncio.Event()
    async with rig.reading() as take, rig.running():
        await rig.publish(range(4))
        while len(rig.answerer.heard) < 4:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        assert rig.journal.committed_numbers == []
        rig.answerer.released.set()
        assert numbers(await take(4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_foreign_offset_metadata_stops_the_run(rig: Rig, kafka: str) -> None:
    spec = rig.stage.spec
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=spec.group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(spec.consumes.name, 0)])
    await consumer.commit({TopicPartition(spec.consumes.name, 0): OffsetAndMetadata(0, "1:somebody else")})
    await consumer.stop()

    with pytest.raises(OffsetLost, match="cannot be read: its checksum is wrong"):
        await asyncio.wait_for(rig.bus.run([rig.stage], asyncio.Event()), WAIT_S)


@pytest.mark.parametrize("rig", KAFKA, indirect=True)
async def test_a_new_run_begins_behind_what_was_committed(rig: Rig) -> None:
    async with rig.reading() as take:
        async with rig.running():
            await rig.publish(range(3))
            await take(3)
        rig.answerer.heard.clear()
        rig.journal.ready.clear()
        async with rig.running():
            await rig.publish([3])
            assert numbers(await take(1)) == [3]
    assert rig.answerer.heard == [3]
