"""A group's coordinator that has failed for good is told from one that needs time, and from one that moves."""

import uuid
from collections.abc import Iterable
from functools import partial
from itertools import chain, repeat
from typing import Any

import pytest
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from schemas.topics import QUERIES
from workers.cli.run import _explain
from workers.devkafka import DevelopmentBroker
from workers.doctor import kafka, kafka_brokers
from workers.doctor.kafka_cluster import Inspected
from workers.doctor.verdict import State
from workers.settings import Settings
from workers.stream.connection import coordinators
from workers.stream.connection.admin_client import Cluster, Partition
from workers.stream.connection.clients import Clients
from workers.stream.connection.coordinators import LOG_OF_OFFSETS, failed_coordinators, offsets_partition
from workers.stream.offsets import Completion

GROUP, TOPIC = "auction.settlement", "auction.candidates.scored.v1"


class Asked(Cluster):
    """A cluster whose coordinator of any group is one of `brokers` in turn, and answers with `answers` in turn."""

    def __init__(self, answers: Iterable[type[KafkaError] | None], brokers: Iterable[int] = (2,)) -> None:
        super().__init__(None)
        self._answers, self._brokers = iter(answers), chain(brokers, repeat(2))

    async def partitions(self) -> dict[str, tuple[Partition, ...]]:
        return {LOG_OF_OFFSETS: tuple(Partition(number, 2, 1) for number in range(50))}

    async def coordinator(self, kind: int, name: str) -> int:
        return next(self._brokers)

    async def committed(self, group: str, topic: str, numbers: Iterable[int]) -> dict[int, int]:
        if (error := next(self._answers)) is not None:
            raise error(group)
        return {0: 7}


@pytest.fixture(autouse=True)
def asked_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinators, "ASKED_FOR_S", 0.3)
    monkeypatch.setattr(coordinators, "PAUSE_S", 0.01)


@pytest.mark.parametrize("error", [NotCoordinatorForGroupError, GroupCoordinatorNotAvailableError])
async def test_a_broker_that_goes_on_to_say_that_it_is_no_coordinator_is_named(error: type[KafkaError]) -> None:
    (failed,) = await failed_coordinators(Asked(repeat(error)), {GROUP: TOPIC})

    assert (failed.broker, failed.partition) == (2, offsets_partition(GROUP, 50))
    assert f"broker 2 is named as the coordinator of group {GROUP} (__consumer_offsets partition " in str(failed)
    assert f"({error.message})" in str(failed)


@pytest.mark.parametrize(
    ("answers", "brokers"),
    [
        ([NotCoordinatorForGroupError, NotCoordinatorForGroupError, None], [2]),
        (repeat(GroupLoadInProgressError), [2]),
        (repeat(NotCoordinatorForGroupError), [1, 2]),
    ],
    ids=["answers in the end", "reads its log", "moves"],
)
async def test_one_that_needs_time_or_moves_has_not_failed(answers: Any, brokers: list[int]) -> None:
    assert await failed_coordinators(Asked(answers, brokers), {GROUP: TOPIC}) == []


async def test_doctor_names_it_and_does_not_wait_for_it_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    inspected: Any = Inspected(None, Asked(repeat(NotCoordinatorForGroupError)), {}, (2,), {}, {})  # type: ignore[arg-type]
    monkeypatch.setattr(kafka_brokers, "GROUPS", {GROUP: TOPIC})

    one, *others = await kafka._verdicts(inspected, (kafka.COORDINATORS, *kafka.OF_COORDINATORS))

    assert one.state is State.FAILED and "broker 2" in one.said and "restart this broker" in one.advice
    assert {other.state for other in others} == {State.UNKNOWN}


def test_a_run_that_ends_because_of_it_says_so() -> None:
    told = list[str]()
    _explain(Exception("no answer"), "broker 2 is named", told.append)

    said = told[-1]
    assert "tessera: no answer. broker 2 is named. If it goes on, that coordinator failed while it came up" in said
    assert "exit code 70" in said


@pytest.mark.kafka
async def test_a_groups_state_lies_in_that_partition(session_broker: DevelopmentBroker, topics: str) -> None:
    groups = [f"test.{uuid.uuid4().hex}" for _ in range(12)]
    async with Clients(Settings.read(bootstrap_servers=session_broker.bootstrap_servers)).cluster() as cluster:
        for group in groups:
            await cluster.retry(partial(cluster.commit, group, QUERIES.name, {0: Completion(0)}))
        count = len((await cluster.partitions())[LOG_OF_OFFSETS])

    logs = {
        number: b"".join(path.read_bytes() for path in session_broker.data.glob(f"log/{LOG_OF_OFFSETS}-{number}/*.log"))
        for number in range(count)
    }
    assert count > 1
    for group in groups:
        assert [number for number, log in logs.items() if group.encode() in log] == [offsets_partition(group, count)]
