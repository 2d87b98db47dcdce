"""A client of Kafka from its start to its end, each within a limit, its errors told in our words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from workers.errors import BrokerError
from workers.stream.connection.access_errors import READ, WRITE, denied, last_words
from workers.stream.connection.clients import Clients

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


@asynccontextmanager
async def started(client: Any, clients: Clients) -> AsyncIterator[None]:
    """The client, started and in the end stopped, each within a limit.

    BrokerError: no broker answers. AccessDenied: one answers and refuses this user, now or while the client is used.
    """
    verb = WRITE if isinstance(client, AIOKafkaProducer) else READ
    with last_words() as words:
        try:
            await asyncio.wait_for(client.start(), START_TIMEOUT_S)
        except (KafkaError, OSError, TimeoutError) as error:
            await _stop(client)
            raise denied(error, clients.user, verb) or clients.unreachable(words.said or str(error)) from error
        except BaseException:  # cancelled meanwhile
            await _stop(client)
            raise
    try:
        yield
    except (KafkaError, BrokerError) as error:
        if missing := denied(error, clients.user, verb):
            raise missing from error
        raise
    finally:
        await _stop(client)


async def _stop(client: Any) -> None:
    """Without a broker aiokafka ends its own tasks and passes their cancellation on: it must not hide what failed."""
    try:
        await asyncio.wait_for(client.stop(), STOP_TIMEOUT_S)
    except (TimeoutError, KafkaError, OSError):
        return
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is None or task.cancelling():
            raise  # we were told to end
