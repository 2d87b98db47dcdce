"""Checks of the brokers: how many, which release, their settings, and what they forget of groups and producers."""

from collections.abc import Mapping

from aiokafka.errors import ClusterAuthorizationFailedError

from schemas.topics import QUERIES
from workers.doctor.kafka_cluster import Findings, Inspected, few
from workers.doctor.verdict import State
from workers.pipeline import GROUPS, STAGES
from workers.stream.admin.replication import SAFE_COPIES
from workers.stream.connection.broker_version import release_of
from workers.stream.connection.coordinators import REMEDY as COORDINATOR_REMEDY
from workers.stream.connection.coordinators import failed_coordinators
from workers.stream.partition.producer import TRANSACTION_TIMEOUT_MS

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


LOSES_MARKERS = ("4.3", "4.4")
TIMEOUT, AUTO_CREATE = "transaction.max.timeout.ms", "auto.create.topics.enable"
SHORTEST, LONGEST = "group.min.session.timeout.ms", "group.max.session.timeout.ms"


async def brokers(kafka: Inspected) -> Findings:
    count = len(kafka.brokers)
    said = f"{count} answer{'s' if count == 1 else ''}: {', '.join(map(str, kafka.brokers))}"
    if count < SAFE_COPIES:
        return State.WARNING, said, f"records need {SAFE_COPIES} brokers to survive the loss of one"
    return State.OK, said, ""


async def coordinators(kafka: Inspected) -> Findings:
    """Whether those of the stages' groups answer."""
    if failed := await failed_coordinators(kafka.cluster, GROUPS):
        return State.FAILED, few(map(str, failed)), COORDINATOR_REMEDY
    return State.OK, "those of the stages' groups answer", ""


async def version(kafka: Inspected) -> Findings:
    """The release line follows from the features; which of its bug fixes is installed does not."""
    releases = {broker: release_of(await kafka.cluster.newest_metadata(broker)) for broker in kafka.brokers}
    said = ", ".join(sorted({release or "unknown" for release in releases.values()}))
    if bad := sorted(broker for broker, release in releases.items() if release in LOSES_MARKERS):
        advice = "4.3.x and 4.4.0 can lose the marker of a committed transaction when a broker restarts, and the work "
        return State.WARNING, f"{said} (brokers {bad})", advice + "is done twice; 4.2.2 does not"
    if None in releases.values():
        return State.UNKNOWN, said, "the brokers name no release that is known here; avoid 4.3.x and 4.4.0"
    return State.OK, f"{said}.x; brokers do not tell the last number", ""


async def broker_settings(kafka: Inspected) -> Findings:
    names = [TIMEOUT, AUTO_CREATE, SHORTEST, LONGEST]
    configs = await _configs(kafka, names)
    allowed = {broker: int(config[TIMEOUT]) for broker, config in configs.items() if TIMEOUT in config}
    if len(allowed) < len(kafka.brokers):
        return State.UNKNOWN, f"not every broker tells {TIMEOUT}", "the account may need DescribeConfigs on the cluster"
    if short := sorted(broker for broker, most_ms in allowed.items() if most_ms < TRANSACTION_TIMEOUT_MS):
        said = f"{TIMEOUT} is below the workers' {TRANSACTION_TIMEOUT_MS} on brokers {short}"
        return State.FAILED, said, "raise it: no transaction can be started"
    session_ms = int(kafka.settings.session_timeout_s * 1_000)
    if refusing := sorted(broker for broker, config in configs.items() if not _allows(config, session_ms)):
        said = f"brokers {refusing} allow no session of {session_ms} ms ({SHORTEST}, {LONGEST})"
        return State.FAILED, said, "set TESSERA_SESSION_TIMEOUT_S to what lies between them: no stage can start"
    if loose := sorted(broker for broker, config in configs.items() if config.get(AUTO_CREATE) == "true"):
        said = f"{AUTO_CREATE}=true on brokers {loose}"
        return State.WARNING, said, "a misspelt topic is made instead of refused: set it to false"
    return State.OK, f"transactions may last {min(allowed.values()) // 1_000} s; no topic is made by accident", ""


def _allows(config: Mapping[str, str], session_ms: int) -> bool:
    return int(config.get(SHORTEST, 0)) <= session_ms <= int(config.get(LONGEST, session_ms))


async def _configs(kafka: Inspected, names: list[str]) -> dict[int, dict[str, str]]:
    """Of each broker; of none where this user may not ask, which no worker needs."""
    try:
        return {broker: await kafka.cluster.broker_configs(broker, names) for broker in kafka.brokers}
    except ClusterAuthorizationFailedError:
        return {}
