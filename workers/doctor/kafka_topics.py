"""Checks of the topics: whether they are there, as planned, with copies, leaders and first offsets."""

from collections.abc import Mapping

from schemas.topics import MAY_GROW, QUERIES, SCORED, SETTLED_QUERIES
from workers.doctor.kafka_cluster import (
    CREATE,
    SAFE_INSYNC,
    Findings,
    Inspected,
    few,
    no_topics,
)
from workers.doctor.verdict import State
from workers.pipeline import GROUPS, POSITIONS
from workers.stream.admin.first_offsets import without_offset
from workers.stream.admin.replication import REMEDY, SAFE_COPIES, are_too_few, danger
from workers.stream.admin.standing import offsets_of
from workers.stream.admin.topics import fits
from workers.stream.connection.clients import Clients
from workers.stream.partition.added_partitions import is_added

#: Settings that must be as planned, and what it means when they are not.
PLANNED = {
    "message.timestamp.type": "stamps can be forged by whoever writes",
    "cleanup.policy": "records vanish that are needed, or stay that should go",
    "unclean.leader.election.enable": "acknowledged records can vanish with a broker",
}
SIZE, KEPT, INSYNC = "max.message.bytes", "retention.ms", "min.insync.replicas"
#: Judged by checks of their own.
ELSEWHERE = {
    (QUERIES.name, "message.timestamp.type"),
    (SETTLED_QUERIES.name, "cleanup.policy"),
    (SETTLED_QUERIES.name, KEPT),
}


async def topics(kafka: Inspected) -> Findings:
    missing = sorted(set(kafka.plans) - set(kafka.present))
    if missing:
        return State.FAILED, f"{len(missing)} of {len(kafka.plans)} are missing: {', '.join(missing)}", CREATE
    counts = {name: len(partitions) for name, partitions in kafka.present.items()}
    if counts[SETTLED_QUERIES.name] != counts[SCORED.name]:
        said = f"{SETTLED_QUERIES.name} and {SCORED.name} have {counts[SETTLED_QUERIES.name]} and {counts[SCORED.name]}"
        return State.FAILED, f"{said} partitions", "they must have the same number, or a query could be billed twice"
    short = [name for name, source in POSITIONS.items() if counts[name] < counts[source]]
    if short:
        said = f"fewer partitions than the stage reads: {', '.join(short)}"
        return State.FAILED, said, "`tessera topics create` adds them: until then only the coordinator says where"
    wrong = [f"{name} has {count}" for name, count in counts.items() if not fits(kafka.plans[name], count)]
    if wrong:
        advice = f"set TESSERA_PARTITIONS to {counts[SCORED.name]}, the number of {SCORED.name}"
        return State.WARNING, f"other partition counts than set: {'; '.join(wrong)}", advice
    grown = [f"{name} has grown to {count}" for name, count in counts.items() if count > kafka.plans[name].partitions]
    return State.OK, "; ".join([f"all {len(counts)} are there, with {sum(counts.values())} partitions", *grown]), ""


async def copies(kafka: Inspected) -> Findings:
    brokers, asked = len(kafka.brokers), kafka.settings.replication_factor
    if not kafka.present:
        return (State.WARNING, danger(asked, brokers), REMEDY) if are_too_few(asked, brokers) else no_topics()
    fewest = min(partition.replicas for partitions in kafka.present.values() for partition in partitions)
    insync = {name: int(config[INSYNC]) for name, config in kafka.configs.items()}
    if stuck := sorted(name for name, least in insync.items() if least > kafka.present[name][0].replicas):
        said = f"min.insync.replicas is above the number of copies: {', '.join(stuck)}"
        return State.FAILED, said, "nothing can be written there: lower it, or add copies"
    least = min(insync.values())
    said = f"at least {fewest} of each partition, {least} of them written before a record counts"
    if are_too_few(fewest, brokers):
        return State.WARNING, danger(fewest, brokers), REMEDY
    if fewest < SAFE_COPIES or least < SAFE_INSYNC:
        return State.WARNING, said, f"{SAFE_COPIES} and {SAFE_INSYNC} survive a broker. {REMEDY}"
    return State.OK, said, ""


async def leaders(kafka: Inspected) -> Findings:
    rows = ((name, partition) for name, partitions in kafka.topics.items() for partition in partitions)
    if without := [f"{name} {partition.number}" for name, partition in rows if partition.leader == -1]:
        return State.FAILED, f"none for {few(without)}", "a broker is down, or all copies of a partition are behind"
    return State.OK, "every partition has one", ""


async def topic_settings(kafka: Inspected) -> Findings:
    if not kafka.present:
        return no_topics()
    wrong = [
        (name, key, config[key])
        for name, config in kafka.configs.items()
        for key in PLANNED
        if config[key] != kafka.plans[name].configs[key] and (name, key) not in ELSEWHERE
    ]
    if wrong:
        said = few(
            f"{name}: {key}={value}, not {kafka.plans[name].configs[key]} ({PLANNED[key]})"
            for name, key, value in wrong
        )
        return State.FAILED, said, few(_set_as_planned(kafka, name, key) for name, key, _ in wrong)
    return State.OK, "stamps, deletion and leader election are as planned", ""


def _set_as_planned(kafka: Inspected, topic: str, setting: str) -> str:
    """The command that does."""
    return Clients(kafka.settings).alter_topic(topic, setting, kafka.plans[topic].configs[setting])


async def message_size(kafka: Inspected) -> Findings:
    return _at_least(kafka, SIZE, "an event that is larger stops its stage")


async def retention(kafka: Inspected) -> Findings:
    return _at_least(kafka, KEPT, "what the audit needs may be gone")


async def offsets(kafka: Inspected) -> Findings:
    committed = {group: await _committed(kafka, group, topic) for group, topic in GROUPS.items()}
    missing = {group: without_offset(found) for group, found in committed.items()}
    added = {group for group in GROUPS if missing[group] and _begins_by_itself(GROUPS[group], committed[group])}
    if lacking := [group for group in GROUPS if not committed[group] or (missing[group] and group not in added)]:
        return State.FAILED, f"not in every partition for {', '.join(lacking)}", CREATE
    begins = [f"{group} begins added partitions {sorted(missing[group])} at their first record" for group in added]
    return State.OK, "; ".join([f"all {len(GROUPS)} groups have theirs", *begins]), ""


def _begins_by_itself(topic: str, committed: Mapping[int, int]) -> bool:
    """Whether every partition without an offset was added where that is harmless."""
    return topic in MAY_GROW and all(is_added(number, committed) for number in without_offset(committed))


async def _committed(kafka: Inspected, group: str, topic: str) -> dict[int, int]:
    """Where the group stands. Nothing of a topic that is not there."""
    numbers = [partition.number for partition in kafka.topics.get(topic, ())]
    return await offsets_of(kafka.cluster, group, topic, numbers) if numbers else {}


def _at_least(kafka: Inspected, key: str, meaning: str) -> Findings:
    if not kafka.present:
        return no_topics()
    low = [
        name
        for name, config in kafka.configs.items()
        if _limit(config[key]) < _limit(kafka.plans[name].configs[key]) and (name, key) not in ELSEWHERE
    ]
    if low:
        said = few(f"{name} {kafka.configs[name][key]} < {kafka.plans[name].configs[key]}" for name in low)
        return State.FAILED, f"{key}: {said}; {meaning}", few(_set_as_planned(kafka, name, key) for name in low)
    return State.OK, f"{key} is as planned or more", ""


def _limit(value: str) -> float:
    """-1 is Kafka's word for no limit."""
    return float("inf") if int(value) < 0 else int(value)
