"""What the owner of a partition does after a batch that was refused for its size, and when it ends in an outage."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from schemas.record import Outgoing, Record
from workers.errors import BrokerError
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stream.deduplication.folder import StateFolder
from workers.stream.offsets import Completion
from workers.stream.partition.crash_count import Attempts
from workers.stream.partition.position_log import Position
from workers.stream.partition.producer import Oversized, WriterLost
from workers.stream.partition.state import Commit, PartitionState
from workers.stream.partition.transaction import Transactions
from workers.stream.processing import Result

LARGE, SMALL = Outgoing("t", None, b"large", ()), Outgoing("t", None, b"small", ())


class Writer:
    """Takes no record that is LARGE; of a batch of several it cannot say which was too large."""

    tainted, answers, last_offset = False, True, 7

    def __init__(self) -> None:
        self.singly: list[bool] = []

    async def begin(self) -> None: ...

    async def commit(self, *_: Any) -> None:
        if not self.answers:
            raise WriterLost("an answer was lost")

    async def send(self, records: Iterable[Outgoing], *, singly: bool) -> None:
        self.singly.append(singly)
        if large := [number for number, record in enumerate(records) if record is LARGE]:
            raise Oversized(ValueError(), large if singly else [])


async def nothing(_: object) -> None: ...


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def state() -> PartitionState:
    return PartitionState(2, in_order=False, most=10)


@pytest.fixture
def transactions(writer: Writer, state: PartitionState) -> Transactions:
    stage: Any = SimpleNamespace(spec=STAGES["generation"], in_flight=1)
    clients, stores, at = SimpleNamespace(user=""), SimpleNamespace(), TopicPartition("t", 0)
    made = Transactions(Settings.read(), clients, stage, stores, {}, at, state, lambda: None)  # type: ignore[arg-type]
    made._known[at] = Position("", Completion(0))
    made._writer, made._memory = writer, SimpleNamespace(save=nothing)  # type: ignore[assignment]
    return made


async def write(transactions: Transactions, *records: Outgoing) -> list[int] | None:
    """Which of them were refused for their size: None for none, empty if that is not known."""
    state, results = transactions._state, [Result(offset, letter=record) for offset, record in enumerate(records)]
    state.abandon()
    state.opened(Completion(0))
    state.deliver([Record("t", None, b"", (), 0, result.offset) for result in results])
    state.begin()
    try:
        await transactions.write(Commit(Completion(0), Attempts(), results))
    except Oversized as error:
        return sorted(error.numbers)
    return None


async def test_records_are_sent_in_batches_of_one_until_the_too_large_one_is_found(
    transactions: Transactions, writer: Writer
) -> None:
    assert await write(transactions, SMALL, LARGE) == []
    assert await write(transactions, SMALL) is None  # what was ready first, after the partition was opened again
    assert await write(transactions, SMALL, LARGE) == [1]
    assert await write(transactions, SMALL, SMALL) is None

    assert writer.singly == [False, True, True, False]


async def test_the_next_too_large_record_is_isolated_again(transactions: Transactions) -> None:
    assert [await write(transactions, LARGE, SMALL) for _ in range(4)] == [[], [0], [], [0]]


@pytest.mark.parametrize(("newest", "told"), [(7, [0, 1]), (6, []), (8, [])])
async def test_an_unanswered_commit_is_told_where_the_newest_position_is_the_one_it_wrote_and_no_other(
    transactions: Transactions, writer: Writer, newest: int, told: list[int]
) -> None:
    writer.answers = False
    with pytest.raises(WriterLost):
        await write(transactions, SMALL, SMALL)

    transactions._log.read_offset = newest  # as the next opening reads it
    transactions._confirm()

    assert [result.offset for result in transactions.take_confirmed()] == told
    assert transactions.take_confirmed() == ()


@dataclass
class Process:
    """One owner of the partition, in an outage that begins when it has opened it."""

    transactions: Transactions
    state: PartitionState

    def opened(self, committed: Completion) -> int:
        """What it makes of what is committed: the deaths."""
        self.state.opened(committed, is_excused=self.transactions._takes_note(committed))
        return self.state.attempts.deaths

    def begin(self, committed: Completion) -> Completion:
        """It finds what is committed, and commits that it begins: what is committed then."""
        self.opened(committed)
        self.state.acknowledged(Commit(committed, self.state.attempts.begin()))
        return self.state.committed


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Process]:
    """Of one machine."""

    async def no_answer(_: Transactions) -> bool:
        raise BrokerError("no answer")

    monkeypatch.setattr(Transactions, "open", no_answer)
    settings, stage = Settings.read(state_folder=str(tmp_path)), SimpleNamespace(spec=STAGES["generation"], in_flight=1)

    def made() -> Process:
        clients, stores, at = SimpleNamespace(user=""), StateFolder(settings), TopicPartition("t", 0)
        state = PartitionState(1, in_order=False, most=10)
        means: Any = settings, clients, stage, stores, {}, at, state
        return Process(Transactions(*means, lambda: None), state)

    return made


async def test_a_process_that_gives_up_in_an_outage_is_no_death_for_the_next_one_on_its_machine(
    process: Callable[[], Process],
) -> None:
    committed = Completion(10)
    for _ in range(5):  # outages
        one = process()
        committed = one.begin(committed)
        assert committed.attempts == 1
        await one.transactions.disclaim()

    # Then deaths count: the note that was left is for one successor, and nobody leaves one who dies
    for deaths in (1, 2, 3):
        committed = process().begin(committed)
        assert committed.attempts == deaths


async def test_a_note_about_another_attempt_excuses_nobody(process: Callable[[], Process]) -> None:
    one = process()
    one.begin(Completion(10))
    await one.transactions.disclaim()

    # Given a process of another machine, which has counted that attempt, began with the same record, and died of it
    assert process().opened(Completion(10, frozenset(), 2)) == 2
    # then the note is gone
    assert process().opened(Completion(10, frozenset(), 1)) == 1


async def test_a_process_that_has_not_begun_leaves_no_note(process: Callable[[], Process]) -> None:
    one = process()
    one.opened(Completion(10))
    await one.transactions.disclaim()

    assert process().opened(Completion(10, frozenset(), 1)) == 1
