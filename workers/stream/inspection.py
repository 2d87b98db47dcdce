"""Is this Kafka as the workers need it? One function for each check; all of them only read."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from schemas.topics import SCORED, SETTLED_QUERIES
from workers.diagnosis import State, Verdict
from workers.pipeline import GROUPS
from workers.settings import Settings
from workers.stream.admin import planned_topics
from workers.stream.clients import Clients
from workers.stream.cluster import Cluster, Partition, TopicPlan
from workers.stream.features import release_of
from workers.stream.writer import TRANSACTION_TIMEOUT_MS

GROUP = "kafka"
CREATE = "`tessera topics create` makes them"
LOSES_MARKERS = ("4.3", "4.4")
SAFE_COPIES, SAFE_INSYNC = 3, 2
CLOCK_TOLERANCE_MS = 2_000
STAMPED_BY_BROKER = "LogAppendTime"
TIMEOUT, AUTO_CREATE = "transaction.max.timeout.ms", "auto.create.topics.enable"
#: Settings that must be as planned, and what it means when they are not.
PLANNED = {
    "message.timestamp.type": "stamps can be forged by whoever writes",
    "cleanup.policy": "records vanish that are needed, or stay that should go",
    "unclean.leader.election.enable": "acknowledged records can vanish with a broker",
}


@dataclass(frozen=True)
class Inspected:
    """A connection, and what was read first. `configs`: of the planned topics that exist."""

    cluster: Cluster
    plans: Mapping[str, TopicPlan]
    brokers: tuple[int, ...]
    topics: Mapping[str, tuple[Partition, ...]]
    configs: Mapping[str, Mapping[str, str]]

    @property
    def present(self) -> dict[str, tuple[Partition, ...]]:
        """The planned topics that exist."""
        return {name: self.topics[name] for name in self.plans if name in self.topics}


async def inspect_kafka(settings: Settings) -> tuple[Verdict, ...]:
    """Every check of the table, in its order. BrokerError: nobody answers, or not in time."""
    plans = {plan.name: plan for plan in planned_topics(settings)}
    names = [*PLANNED, "max.message.bytes", "retention.ms", "min.insync.replicas"]
    async with Clients(settings).cluster() as cluster:
        brokers = await cluster.insist(cluster.brokers)
        topics = await cluster.insist(cluster.partitions)
        present = [name for name in plans if name in topics]
        configs = await cluster.insist(lambda: cluster.configs(present, names)) if present else {}
        inspected = Inspected(cluster, plans, brokers, topics, configs)
        return tuple([await _judge(name, check, inspected) for name, check in CHECKS.items()])


Findings = tuple[State, str, str]
Check = Callable[[Inspected], Awaitable[Findings]]


async def _judge(name: str, check: Check, inspected: Inspected) -> Verdict:
    return Verdict(GROUP, name, *await check(inspected))


async def _brokers(kafka: Inspected) -> Findings:
    count = len(kafka.brokers)
    said = f"{count} answer{'s' if count == 1 else ''}: {', '.join(map(str, kafka.brokers))}"
    if count < SAFE_COPIES:
        return State.WARNING, said, f"records need {SAFE_COPIES} brokers to survive the loss of one"
    return State.OK, said, ""


async def _version(kafka: Inspected) -> Findings:
    """The release line follows from the features; which of its bug fixes is installed does not."""
    releases = {broker: release_of(await kafka.cluster.newest_metadata(broker)) for broker in kafka.brokers}
    said = ", ".join(sorted({release or "unknown" for release in releases.values()}))
    if bad := sorted(broker for broker, release in releases.items() if release in LOSES_MARKERS):
        advice = "4.3.x and 4.4.0 can lose the marker of a committed transaction when a broker restarts, and the work "
        return State.WARNING, f"{said} (brokers {bad})", advice + "is done twice; 4.2.2 does not"
    if None in releases.values():
        return State.UNKNOWN, said, "the brokers name no release that is known here; avoid 4.3.x and 4.4.0"
    return State.OK, f"{said}.x; brokers do not tell the last number", ""


async def _topics(kafka: Inspected) -> Findings:
    missing = sorted(set(kafka.plans) - set(kafka.present))
    if missing:
        return State.FAILED, f"{len(missing)} of {len(kafka.plans)} are missing: {', '.join(missing)}", CREATE
    counts = {name: len(partitions) for name, partitions in kafka.present.items()}
    if counts[SETTLED_QUERIES.name] != counts[SCORED.name]:
        said = f"{SETTLED_QUERIES.name} and {SCORED.name} have {counts[SETTLED_QUERIES.name]} and {counts[SCORED.name]}"
        return State.FAILED, f"{said} partitions", "they must have the same number, or a query could be billed twice"
    wrong = [f"{name} has {count}" for name, count in counts.items() if count != kafka.plans[name].partitions]
    if wrong:
        return State.WARNING, f"other partition counts than set: {'; '.join(wrong)}", "set TESSERA_PARTITIONS to theirs"
    return State.OK, f"all {len(counts)} are there, with {sum(counts.values())} partitions", ""


async def _copies(kafka: Inspected) -> Findings:
    if not kafka.present:
        return _nothing()
    fewest = min(partition.replicas for partitions in kafka.present.values() for partition in partitions)
    insync = {name: int(config["min.insync.replicas"]) for name, config in kafka.configs.items()}
    if stuck := sorted(name for name, least in insync.items() if least > kafka.present[name][0].replicas):
        said = f"min.insync.replicas is above the number of copies: {', '.join(stuck)}"
        return State.FAILED, said, "nothing can be written there: lower it, or add copies"
    least = min(insync.values())
    said = f"at least {fewest} of each partition, {least} of them written before a record counts"
    if fewest < SAFE_COPIES or least < SAFE_INSYNC:
        return (
            State.WARNING,
            said,
            "3 and 2 survive the loss of a broker; `tessera topics create --replication-factor 3`",
        )
    return State.OK, said, ""


async def _leaders(kafka: Inspected) -> Findings:
    rows = ((name, partition) for name, partitions in kafka.topics.items() for partition in partitions)
    if without := [f"{name} {partition.number}" for name, partition in rows if partition.leader == -1]:
        return State.FAILED, f"none for {_few(without)}", "a broker is down, or all copies of a partition are behind"
    return State.OK, "every partition has one", ""


async def _topic_settings(kafka: Inspected) -> Findings:
    if not kafka.present:
        return _nothing()
    wrong = [
        f"{name}: {key}={config[key]}, not {kafka.plans[name].configs[key]} ({meaning})"
        for name, config in kafka.configs.items()
        for key, meaning in PLANNED.items()
        if config[key] != kafka.plans[name].configs[key]
    ]
    if wrong:
        return State.FAILED, _few(wrong), "set them with kafka-configs.sh"
    return State.OK, "stamps, deletion and leader election are as planned", ""


async def _message_size(kafka: Inspected) -> Findings:
    return _at_least(kafka, "max.message.bytes", "an event that is larger stops its stage")


async def _retention(kafka: Inspected) -> Findings:
    return _at_least(kafka, "retention.ms", "what the audit needs may be gone")


async def _offsets(kafka: Inspected) -> Findings:
    lacking: list[str] = []
    for group, topic in GROUPS.items():
        numbers = [partition.number for partition in kafka.topics.get(topic, ())]
        if not numbers or -1 in (await _committed(kafka.cluster, group, topic, numbers)).values():
            lacking.append(group)
    if lacking:
        return State.FAILED, f"not in every partition for {', '.join(lacking)}", CREATE
    return State.OK, f"all {len(GROUPS)} groups have theirs", ""


async def _committed(cluster: Cluster, group: str, topic: str, numbers: list[int]) -> dict[int, int]:
    return await cluster.insist(lambda: cluster.committed(group, topic, numbers))


async def _clock(kafka: Inspected) -> Findings:
    """Only a broker's clock that is ahead shows without writing: records stamped later than now."""
    later_ms = int(time.time() * 1_000) + CLOCK_TOLERANCE_MS
    ahead: list[str] = []
    for name, partitions in kafka.present.items():
        if kafka.configs[name]["message.timestamp.type"] == STAMPED_BY_BROKER:
            found = await _offsets_at(kafka.cluster, name, partitions, later_ms)
            ahead += [name] if any(offset >= 0 for offset in found.values()) else []
    if ahead:
        said = f"records are stamped more than {CLOCK_TOLERANCE_MS / 1_000:g} s in this machine's future: {_few(ahead)}"
        return State.WARNING, said, "set the clocks by NTP: deadlines and the day of a draw's key follow them"
    return State.OK, "no record is stamped in the future; a broker's clock that is behind cannot be seen by reading", ""


async def _offsets_at(
    cluster: Cluster, name: str, partitions: tuple[Partition, ...], time_ms: int
) -> Mapping[int, int]:
    return await cluster.insist(lambda: cluster.offsets(name, partitions, time_ms))


async def _broker_settings(kafka: Inspected) -> Findings:
    names = [TIMEOUT, AUTO_CREATE]
    configs = {broker: await kafka.cluster.broker_configs(broker, names) for broker in kafka.brokers}
    if short := sorted(
        one for one, config in configs.items() if int(config.get(TIMEOUT, "0")) < TRANSACTION_TIMEOUT_MS
    ):
        said = f"{TIMEOUT} is below the workers' {TRANSACTION_TIMEOUT_MS} on brokers {short}"
        return State.FAILED, said, "raise it: no transaction can be started"
    if loose := sorted(broker for broker, config in configs.items() if config.get(AUTO_CREATE) == "true"):
        said = f"{AUTO_CREATE}=true on brokers {loose}"
        return State.WARNING, said, "a misspelt topic is made instead of refused: set it to false"
    return (
        State.OK,
        f"transactions may last {TRANSACTION_TIMEOUT_MS // 1_000} s, and topics are not made by accident",
        "",
    )


CHECKS: dict[str, Check] = {
    "brokers": _brokers,
    "version": _version,
    "topics": _topics,
    "copies": _copies,
    "leaders": _leaders,
    "topic settings": _topic_settings,
    "message size": _message_size,
    "retention": _retention,
    "first offsets": _offsets,
    "clock": _clock,
    "broker settings": _broker_settings,
}


def _at_least(kafka: Inspected, key: str, meaning: str) -> Findings:
    if not kafka.present:
        return _nothing()
    low = [
        f"{name} {config[key]} < {kafka.plans[name].configs[key]}"
        for name, config in kafka.configs.items()
        if _limit(config[key]) < _limit(kafka.plans[name].configs[key])
    ]
    if low:
        return State.FAILED, f"{key}: {_few(low)}; {meaning}", "raise it with kafka-configs.sh"
    return State.OK, f"{key} is as planned or more", ""


def _limit(value: str) -> float:
    """-1 is Kafka's word for no limit."""
    return float("inf") if int(value) < 0 else int(value)


def _nothing() -> Findings:
    return State.UNKNOWN, "none of the topics is there", CREATE


def _few(names: Iterable[str], limit: int = 4) -> str:
    names = list(names)
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
