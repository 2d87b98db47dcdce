"""Answers that fail when nobody waits for them any more, which asyncio otherwise prints with a traceback each.

When a producer is fenced or loses its broker, aiokafka 0.14 sets the error in every future of its transaction and its
batches. We wait for some of them at most; that the producer is lost is known from those, and told as WriterLost.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from aiokafka.errors import IllegalOperation, KafkaError
from aiokafka.producer import message_accumulator, transaction_manager

#: What a step may raise; aiokafka asserts states that brokers cause, and its IllegalOperation is no KafkaError.
DOUBTS = (KafkaError, IllegalOperation, TimeoutError, OSError, AssertionError)


def retrieve(future: "asyncio.Future[Any]") -> None:
    """A done-callback: mark the failure as seen if it is one that a lost producer has. asyncio prints any other."""
    error = failure(future)
    if error is not None and all(isinstance(cause, DOUBTS) for cause in _causes(error)):
        future.exception()


def failure(future: "asyncio.Future[Any]") -> BaseException | None:
    """What a future failed with, without marking it as seen, as its method `exception` would. None: cancelled too."""
    error: BaseException | None = future._exception
    return error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from: aiokafka wraps what it did not expect in a KafkaError."""
    while error is not None:
        yield error
        error = error.__cause__


def retrieved() -> "asyncio.Future[Any]":
    """A future whose failure need not be awaited. Who awaits it still gets the failure."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.add_done_callback(retrieve)
    return future


# Each future of a transaction, of a batch and of its place in the queue is made by this function.
message_accumulator.create_future = transaction_manager.create_future = retrieved
