"""What Kafka has kept for the probe: the committed offset of each id, and every committed record."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain

from aiokafka import TopicPartition
from aiokafka.errors import LeaderNotAvailableError, TopicAlreadyExistsError, for_code

from workers.doctor.marker_probe.comparison import ProbeRecord
from workers.doctor.marker_probe.owner import TOPIC, Owner, read_record
from workers.stream.connection.admin_client import EARLIEST, LATEST, Cluster, TopicPlan
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import edges
from workers.stream.reader import SilentPartitions, consumer_at, poll

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
    async with consumer_at(clients, await edges(clients, [TOPIC], EARLIEST)) as consumer:

        async def is_read(at: TopicPartition) -> bool:
            return bool(await consumer.position(at) >= ends[at])

        with suppress(SilentPartitions):
            async for batches in poll(consumer, ends, is_read, SILENCE_S):
                seen.update(read_record(record.value) for record in chain.from_iterable(batches.values()))
    return seen
