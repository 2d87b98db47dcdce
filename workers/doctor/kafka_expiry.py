"""Checks of what brokers forget: offsets of groups that nobody is in, and transactional ids that nobody uses."""

from aiokafka.errors import ClusterAuthorizationFailedError

from schemas.topics import QUERIES
from workers.doctor.kafka_cluster import Findings, Inspected
from workers.doctor.verdict import State
from workers.pipeline import STAGES

OFFSETS, IDS = "offsets.retention.minutes", "transactional.id.expiration.ms"

#: As long as any record is kept that a stage reads: then a stage that was off never finds records without its offset.
OFFSETS_MINUTES = int(max(spec.consumes.retention for spec in STAGES.values()).total_seconds()) // 60
#: As long as a query may wait. Kafka allows 24 days at most.
IDS_MS = int(QUERIES.retention.total_seconds() * 1_000)


async def forgetting(kafka: Inspected) -> Findings:
    """Whether offsets and transactional ids outlive what they are about."""
    try:
        configs = {one: await kafka.cluster.broker_configs(one, [OFFSETS, IDS]) for one in kafka.brokers}
    except ClusterAuthorizationFailedError:
        return State.UNKNOWN, "this user may not ask", "the account may need DescribeConfigs on the cluster"
    least = {name: min(int(config.get(name, -1)) for config in configs.values()) for name in (OFFSETS, IDS)}
    if min(least.values()) < 0:
        return State.UNKNOWN, f"not every broker tells {OFFSETS} and {IDS}", ""
    said = f"{OFFSETS}={least[OFFSETS]}, {IDS}={least[IDS]}"
    wrong = [
        f"{name} to {most} or more" for name, most in ((OFFSETS, OFFSETS_MINUTES), (IDS, IDS_MS)) if least[name] < most
    ]
    if wrong:
        meaning = "a stage that is off for longer starts over, or cannot fence who took over; nobody is billed twice"
        return State.WARNING, f"{said}: {meaning}", f"set {' and '.join(wrong)} on every broker"
    return State.OK, f"{said}: longer than records wait", ""
