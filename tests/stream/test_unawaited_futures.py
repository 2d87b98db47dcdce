"""What a fenced producer leaves unanswered says nothing new and is not printed; what nobody knows yet is."""

import asyncio
import gc
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import aiokafka
import pytest
from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.producer import message_accumulator, transaction_manager
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.structs import OffsetAndMetadata

from workers.stream.partition import producer, unawaited
from workers.stream.partition.producer import TransactionalWriter

AT = TopicPartition("topic", 0)


def wrapped(cause: Exception) -> KafkaError:
    """As aiokafka's sender raises what it did not expect."""
    error = KafkaError("Unexpected error during batch delivery")
    error.__cause__ = cause
    return error


@pytest.fixture
async def printed() -> AsyncIterator[list[dict[str, Any]]]:
    """What asyncio would print."""
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: told.append(context))
    yield told
    loop.set_exception_handler(before)


async def fail_everything(error: Exception, *, between: bool = False) -> None:
    """A transaction with a batch in the queue and offsets to be committed, its producer lost; nobody waits for it."""
    manager = TransactionManager("id", 1_000)
    manager.set_pid_and_epoch(1, 1)
    accumulator = MessageAccumulator(ClusterMetadata(), 1_000, 0, 1.0, txn_manager=manager)
    manager.begin_transaction()
    if between:
        manager.committing_transaction()
        manager.complete_transaction()
    else:
        batch = accumulator.create_builder()
        batch.append(timestamp=None, key=b"k", value=b"v")
        answer = await accumulator.add_batch(batch, AT, 1.0)
        answer.cancel()  # as the limit of a step does
        manager.add_offsets_to_txn({AT: OffsetAndMetadata(1, "")}, "group")
    await asyncio.sleep(0)
    accumulator.fail_all(error)
    manager.fatal_error(error)
    await asyncio.sleep(0)


async def collect() -> None:
    await asyncio.sleep(0)
    gc.collect()


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("error", [ProducerFenced(), wrapped(AssertionError("state")), wrapped(ProducerFenced())])
async def test_a_lost_producer_prints_nothing(error: Exception, between: bool, printed: list[dict[str, Any]]) -> None:
    await fail_everything(error, between=between)
    await collect()

    assert not printed


@pytest.mark.parametrize("error", [TypeError("new"), wrapped(KeyError("new"))])
async def test_an_unknown_failure_is_still_printed(error: Exception, printed: list[dict[str, Any]]) -> None:
    await fail_everything(error)
    await collect()

    assert {repr(context["exception"]) for context in printed} == {repr(error)}


async def test_an_awaited_future_still_raises_its_failure(printed: list[dict[str, Any]]) -> None:
    future = unawaited.retrieved()
    future.set_exception(ProducerFenced())

    with pytest.raises(ProducerFenced):
        await future


async def test_a_failure_of_a_known_step_that_was_not_awaited_is_not_printed(printed: list[dict[str, Any]]) -> None:
    answer = asyncio.get_running_loop().create_future()
    producer = SimpleNamespace(send_batch=AsyncMock(return_value=answer))
    sending = TransactionalWriter(SimpleNamespace(user="", producer=lambda **_: producer), "id")  # type: ignore[arg-type]

    await sending._submit(Mock(), ("topic", 0))
    answer.set_exception(ProducerFenced())
    producer.send_batch.return_value = None
    del answer
    await collect()

    assert not printed


async def test_a_stop_that_fails_in_an_unknown_way_is_printed(printed: list[dict[str, Any]]) -> None:
    async def stop() -> None:
        raise TypeError("new")

    assert not await producer._ended(stop(), 1.0)
    await collect()

    assert [repr(context["exception"]) for context in printed] == ["TypeError('new')"]


def test_the_pinned_release_makes_its_futures_by_the_functions_that_are_replaced() -> None:
    assert aiokafka.__version__ == "0.14.0"
    assert message_accumulator.create_future is transaction_manager.create_future is unawaited.retrieved
