"""What `tessera run` asks of Kafka before its stages begin: is it as they need it?"""

from collections.abc import Mapping, Sequence

from aiokafka.errors import TopicAuthorizationFailedError

from workers.errors import Unsuitable
from workers.settings import Settings
from workers.stage import StageSpec
from workers.stream.connection.admin_client import Cluster
from workers.stream.connection.clients import Clients
from workers.stream.connection.clocks import REMEDY, TOLERANCE_S, ahead_of_controller_s, said

SIZE = "max.message.bytes"


async def preflight(stages: Sequence[StageSpec], settings: Settings) -> tuple[str, ...]:
    """What an operator should know at once: that the clocks are apart, where the brokers tell theirs.

    Unsuitable: a topic that these stages write takes no events as large as they may be. BrokerError: no answer.
    """
    clients = Clients(settings)
    wanted = {topic.name: topic.max_message_bytes for stage in stages for topic in stage.publishes}
    async with clients.cluster() as cluster:
        allowed = await _sizes(cluster, wanted)
        ahead_s = await ahead_of_controller_s(cluster)
    for topic, needed in wanted.items():
        if allowed.get(topic, needed) < needed:
            raise Unsuitable(
                f"topic {topic} takes records of at most {allowed[topic]} bytes ({SIZE}), and an event may have "
                f"{needed}. Raise it: {clients.alter_topic(topic, SIZE, needed)}"
            )
    if ahead_s is None or abs(ahead_s) <= TOLERANCE_S:
        return ()
    return (f"{said(ahead_s)}; {REMEDY}",)


async def _sizes(cluster: Cluster, wanted: Mapping[str, int]) -> dict[str, int]:
    """Of the topics that exist; of none where this user may not see settings, a right that no stage needs."""
    present = set(wanted) & set(await cluster.retry(cluster.partitions))
    try:
        found = await cluster.retry(lambda: cluster.configs(present, [SIZE])) if present else {}
    except TopicAuthorizationFailedError:
        return {}
    return {topic: int(configs[SIZE]) for topic, configs in found.items()}
