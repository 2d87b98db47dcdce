"""What Kafka has kept for the probe: the committed offset of each id, and every committed record."""

import time
from collections import Counter
from collections.abc import Sequence

from aiokafka.errors import LeaderNotAvailableError, TopicAlreadyExistsError, for_code

from workers.doctor.marker_probe.comparison import ProbeRecord
from workers.doctor.marker_probe.owner import TOPIC, Owner, read_record
from workers.stream.connection.admin_client import EARLIEST, LATEST, Cluster, TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.reader import POLL_MS, edges, reader

SILENCE_S = 3.0  # a partition that gives nothing for so long is held back by a transaction without a marker


async def make_topic(clients: Clients, partitions: int) -> None:
    """The probe's topic, with a leader for each partition. BrokerError."""
    plan = TopicPlan(TOPIC, partitions, 1, {})
    async with clients.cluster() as cluster:
        await cluster.retry(lambda: _create(cluster, plan))


async def _create(cluster: Cluster, plan: TopicPlan) -> None:
    for code, message in (await cluster.create([plan])).values():
        if code not in (0, TopicAlreadyExistsError.errno):
            raise for_code(code)(f"{plan.name}: {message}")
    found = (await cluster.partitions()).get(plan.name, ())
    if len(found) < plan.partitions or any(partition.leader == -1 for partition in found):
        raise LeaderNotAvailableError(plan.name)


async def committed_offsets(clients: Clients, owners: Sequence[Owner]) -> dict[int, int]:
    """Per id, 0 where none was ever committed. BrokerError."""
    found: dict[int, int] = {}
    async with clients.cluster() as cluster:
        for owner in owners:
            found[owner.number] = max(0, await _committed(cluster, owner))
    return found


async def _committed(cluster: Cluster, owner: Owner) -> int:
    offsets = await cluster.retry(lambda: cluster.committed(owner.group, TOPIC, [owner.number]))
    return offsets[owner.number]


async def visible_records(clients: Clients) -> Counter[ProbeRecord]:
    """How often each record is there for a reader of committed records. BrokerError."""
    ends = await edges(clients, [TOPIC], LATEST)
    seen: Counter[ProbeRecord] = Counter()
    async with reader(clients, await edges(clients, [TOPIC], EARLIEST)) as consumer:
        last_news = time.monotonic()
        while time.monotonic() - last_news < SILENCE_S:
            batches = await consumer.getmany(timeout_ms=POLL_MS)
            for records in batches.values():
                seen.update(read_record(record.value) for record in records)
                last_news = time.monotonic()
            if not batches and all([await consumer.position(at) >= end for at, end in ends.items()]):
                break
    return seen
