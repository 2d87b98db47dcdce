"""A log that has no partition for one of its input's: nothing is written or read there, and work goes on."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from workers.errors import BrokerError
from workers.stream.connection.admin_client import Partition
from workers.stream.offsets import Completion
from workers.stream.partition.position_log import Position, PositionLog

LOG, AT = "auction.stage.position.v1", TopicPartition("grown", 2)
POSITION = Position("1f" * 16, Completion(7))


class Kafka:
    """Clients and cluster, of a Kafka whose log has so many partitions."""

    def __init__(self, count: int) -> None:
        self.count = count

    @asynccontextmanager
    async def cluster(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(retry=lambda ask: ask(), partitions=partial(self.partitions))

    async def partitions(self) -> dict[str, tuple[Partition, ...]]:
        return {LOG: tuple(Partition(number, 0, 1) for number in range(self.count))} if self.count else {}


async def test_a_partition_that_the_log_lacks_is_not_written_or_read_and_each_opening_warns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log, kafka = PositionLog(LOG, AT), Kafka(2)
    with caplog.at_level(logging.WARNING):
        await log.find(kafka)  # type: ignore[arg-type]
        await log.find(kafka)  # type: ignore[arg-type]

    assert log.barrier() is None and log.records(POSITION) == ()
    assert await log.read(SimpleNamespace(), 0, POSITION.topic_id) is None  # type: ignore[arg-type]
    assert [record.getMessage().count("`tessera topics create`") for record in caplog.records] == [1, 1]


async def test_a_partition_that_was_added_to_the_log_is_written_from_the_next_opening_on() -> None:
    log, kafka = PositionLog(LOG, AT), Kafka(2)
    await log.find(kafka)  # type: ignore[arg-type]
    kafka.count = 3
    assert log.records(POSITION) == ()
    await log.find(kafka)  # type: ignore[arg-type]

    (written,) = log.records(POSITION)
    assert (written.topic, written.to_partition) == (LOG, 2) and log.barrier() is not None


async def test_a_log_that_is_missing_altogether_is_no_partition_that_was_not_added_yet() -> None:
    with pytest.raises(BrokerError, match=f"no topic {LOG}"):
        await PositionLog(LOG, AT).find(Kafka(0))  # type: ignore[arg-type]
