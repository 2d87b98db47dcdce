"""What the transactional writer takes for granted of aiokafka's release."""

import asyncio
import random
import time
from types import SimpleNamespace
from typing import Any

import aiokafka
import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer import sender

from workers.stream.partition import producer
from workers.stream.partition.producer import TransactionalWriter


def test_the_pause_between_transactions_is_the_constant_of_the_pinned_library() -> None:
    assert aiokafka.__version__ == "0.14.0"
    assert sender.BACKOFF_OVERRIDE == producer.PAUSE_BETWEEN_TRANSACTIONS_S == 0.002


@pytest.mark.parametrize("count", [1, 4, 12])
def test_keys_are_placed_as_every_other_client_places_them(count: int) -> None:
    theirs, partitions = DefaultPartitioner(), list(range(count))
    for _ in range(200):
        key = random.randbytes(random.randrange(80))
        assert producer.place(key, count) == theirs(key, partitions, partitions)


def test_a_record_without_a_key_goes_to_any_partition() -> None:
    assert {producer.place(None, 3) for _ in range(200)} == {0, 1, 2}


class Deaf:
    """A producer of which no connection closes; aiokafka's then hand a cancellation on to whoever closes next."""

    def __init__(self, **_: Any) -> None:
        self.client = SimpleNamespace(close=self.close)
        self.was_cancelled = False

    async def stop(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise

    async def close(self) -> None:
        if self.was_cancelled:
            raise asyncio.CancelledError
        await asyncio.Event().wait()


async def test_a_producer_that_does_not_close_is_dropped_after_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    unhurried_s = producer.STOP_TIMEOUT_S + producer.CLOSE_TIMEOUT_S
    monkeypatch.setattr(producer, "STOP_TIMEOUT_S", 0.05)
    monkeypatch.setattr(producer, "CLOSE_TIMEOUT_S", 0.05)
    deaf, began = Deaf(), time.monotonic()

    await TransactionalWriter(SimpleNamespace(user="", producer=lambda **_: deaf), "id").discard()  # type: ignore[arg-type]

    assert time.monotonic() - began < unhurried_s
    assert not deaf.was_cancelled
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
