"""Who stamps the records of the query topic: retention goes by the stamp, so a producer's can delete its own query."""

from collections.abc import Mapping

from schemas.topics import QUERIES
from workers.settings import Settings
from workers.stream.connection.clients import Clients

TYPE, OLDEST, NEWEST = "message.timestamp.type", "message.timestamp.before.max.ms", "message.timestamp.after.max.ms"
SETTINGS = [TYPE, OLDEST, "retention.ms"]
BY_BROKER = "LogAppendTime"
DAY_MS, HOUR_MS = 86_400_000, 3_600_000


def deletes_at_once(configs: Mapping[str, str]) -> bool:
    """Whether the topic takes a record that its retention deletes at once, for the stamp its producer gave it."""
    kept_ms, oldest_ms = int(configs["retention.ms"]), int(configs.get(OLDEST, -1))
    bounded = 0 <= oldest_ms < kept_ms
    return configs[TYPE] != BY_BROKER and kept_ms >= 0 and not bounded


def danger() -> str:
    """What may happen to a topic of which `deletes_at_once` is true."""
    return (
        f"{QUERIES.name} keeps its producers' stamps ({TYPE}=CreateTime): a query with a stamp in seconds, or days "
        "old, is acknowledged and deleted at once"
    )


def remedies(clients: Clients) -> str:
    """The two ways to end that, as commands."""
    broker = clients.alter_topic(QUERIES.name, TYPE, BY_BROKER)
    bounds = clients.alter_topic(QUERIES.name, OLDEST, f"{DAY_MS},{NEWEST}={HOUR_MS}")
    return f"let the broker stamp: {broker}. Or let it refuse such stamps, so that the producer is told: {bounds}"


async def stamp_warning(settings: Settings) -> str | None:
    """What is to be said of the query topic as it is, if anything. BrokerError: no answer."""
    clients = Clients(settings)
    async with clients.cluster() as cluster:
        found = await cluster.retry(lambda: cluster.configs([QUERIES.name], SETTINGS))
    return f"{danger()}. Better {remedies(clients)}" if deletes_at_once(found[QUERIES.name]) else None
