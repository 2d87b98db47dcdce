"""What the owner of a partition does after a batch that was refused for its size, and when it ends in an outage."""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from schemas.record import Outgoing
from workers.errors import BrokerError
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stream.deduplication.folder import StateFolder
from workers.stream.offsets import Completion
from workers.stream.partition.crash_count import Attempts
from workers.stream.partition.position_log import Position
from workers.stream.partition.producer import Oversized
from workers.stream.partition.transaction import Tenure

LARGE, SMALL = Outgoing("t", None, b"large", ()), Outgoing("t", None, b"small", ())


class Writer:
    """Takes no record that is LARGE; of a batch of several it cannot say which was too large."""

    tainted = False

    def __init__(self) -> None:
        self.singly: list[bool] = []

    async def begin(self) -> None: ...

    async def commit(self, *_: Any) -> None: ...

    async def send(self, records: Iterable[Outgoing], *, singly: bool) -> None:
        self.singly.append(singly)
        if large := [number for number, record in enumerate(records) if record is LARGE]:
            raise Oversized(ValueError(), large if singly else [])


async def nothing(_: object) -> None: ...


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def tenure(writer: Writer) -> Tenure:
    stage: Any = SimpleNamespace(spec=STAGES["generation"], in_flight=1)
    clients, at = SimpleNamespace(user=""), TopicPartition("t", 0)
    made = Tenure(Settings.read(), clients, stage, SimpleNamespace(), {}, at, lambda: None)  # type: ignore[arg-type]
    made._known[at] = Position("", Completion(0))
    made._writer, made._memory = writer, SimpleNamespace(save=nothing)  # type: ignore[assignment]
    return made


async def write(tenure: Tenure, *records: Outgoing) -> list[int] | None:
    """Which of them were refused for their size: None for none, empty if that is not known."""
    try:
        await tenure.write(records, Completion(0), Attempts())
    except Oversized as error:
        return sorted(error.numbers)
    return None


async def test_records_are_sent_in_batches_of_one_until_the_too_large_one_is_found(
    tenure: Tenure, writer: Writer
) -> None:
    assert await write(tenure, SMALL, LARGE) == []
    assert await write(tenure, SMALL) is None  # what was ready first, after the partition was opened again
    assert await write(tenure, SMALL, LARGE) == [1]
    assert await write(tenure, SMALL, SMALL) is None

    assert writer.singly == [False, True, True, False]


async def test_the_next_too_large_record_is_isolated_again(tenure: Tenure) -> None:
    assert [await write(tenure, LARGE, SMALL) for _ in range(4)] == [[], [0], [], [0]]


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Tenure]:
    """Of one machine, each in an outage that begins when it has opened the partition."""

    async def no_answer(_: Tenure) -> Completion:
        raise BrokerError("no answer")

    monkeypatch.setattr(Tenure, "open", no_answer)
    settings, stage = Settings.read(state_folder=str(tmp_path)), SimpleNamespace(spec=STAGES["generation"], in_flight=1)

    def made() -> Tenure:
        clients, at = SimpleNamespace(user=""), TopicPartition("t", 0)
        return Tenure(settings, clients, stage, StateFolder(settings), {}, at, lambda: None)  # type: ignore[arg-type]

    return made


def begin(tenure: Tenure, committed: Completion) -> Completion:
    """It finds what is committed, and commits that it begins: what is committed then."""
    attempts = tenure._attempts_at(committed).begin()
    then = Completion(committed.base, committed.done, attempts.number)
    tenure._note(Position("", then), attempts)
    return then


async def test_a_process_that_gives_up_in_an_outage_is_no_death_for_the_next_one_on_its_machine(
    process: Callable[[], Tenure],
) -> None:
    committed = Completion(10)
    for _ in range(5):  # outages
        tenure = process()
        committed = begin(tenure, committed)
        assert committed.attempts == 1
        await tenure.disclaim()

    # Then deaths count: the note that was left is for one successor, and nobody leaves one who dies
    for deaths in (1, 2, 3):
        committed = begin(process(), committed)
        assert committed.attempts == deaths


async def test_a_note_about_another_attempt_excuses_nobody(process: Callable[[], Tenure]) -> None:
    tenure = process()
    begin(tenure, Completion(10))
    await tenure.disclaim()

    # Given a process of another machine, which has counted that attempt, began with the same record, and died of it
    assert process()._attempts_at(Completion(10, frozenset(), 2)).deaths == 2
    # then the note is gone
    assert process()._attempts_at(Completion(10, frozenset(), 1)).deaths == 1


async def test_a_process_that_has_not_begun_leaves_no_note(process: Callable[[], Tenure]) -> None:
    tenure = process()
    tenure._note(Position("", Completion(10)), Attempts())
    await tenure.disclaim()

    assert process()._attempts_at(Completion(10, frozenset(), 1)).deaths == 1
