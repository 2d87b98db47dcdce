"""`tessera doctor` as a user runs it: a healthy Kafka, one without topics, none at all, and orders it cannot follow."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import SETTLED_QUERIES
from tests.support.forked_command import tessera
from tests.support.own_node import started
from workers.cli import COMMANDS
from workers.devkafka import DevelopmentBroker
from workers.devkafka.jars import kafka_version
from workers.devkafka.ports import free_port
from workers.doctor import kafka_deduplication
from workers.doctor.kafka import CHECKS
from workers.doctor.kafka_brokers import forgetting
from workers.doctor.kafka_cluster import Inspected
from workers.doctor.kafka_deduplication import id_window
from workers.doctor.kafka_topics import copies, leaders, message_size, topic_settings, topics
from workers.doctor.verdict import State
from workers.errors import Misplaced
from workers.settings import Settings
from workers.stream.admin.plans import planned_topics
from workers.stream.connection.admin_client import Partition, TopicPlan
from workers.stream.connection.broker_version import release_of

ANSWER_WITHIN_S = 15
UNREACHABLE = {"kafka": f"127.0.0.1:{free_port()}"}


@pytest.fixture(scope="module")
def bare_broker(session_broker: DevelopmentBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker without topics. (The session's broker: Java is there, and the jars are.)"""
    bare = DevelopmentBroker(tmp_path_factory.mktemp("bare"))
    with started(bare):
        yield bare.bootstrap_servers


def verdicts(output: bytes) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in output.splitlines()]
    assert {row["group"] for row in rows} == {"kafka"}
    return {row["check"]: row for row in rows}


@pytest.mark.kafka
def test_missing_topics_are_a_finding_until_they_are_made(bare_broker: str) -> None:
    # Given a Kafka without topics
    bare = tessera("doctor", "--kafka", kafka=bare_broker)
    all_of_them = len(planned_topics(Settings()))
    assert bare.returncode == 1 and b"tessera topics create" in bare.stdout
    assert f"{all_of_them} of {all_of_them} are missing".encode() in bare.stdout
    # When they are made
    assert tessera("topics", "create", kafka=bare_broker).returncode == 0
    # Then one broker is only warned of, for its single copies
    healthy = tessera("doctor", "--kafka", "--json", kafka=bare_broker)
    assert healthy.returncode == 0, healthy.stdout
    found = verdicts(healthy.stdout)
    assert list(found) == list(CHECKS)
    assert {name for name, row in found.items() if row["state"] != "ok"} == {"brokers", "copies"}
    assert found["version"]["said"].startswith(".".join(kafka_version().split(".")[:2]))
    # When more partitions are asked for than the topics have, then that is said
    more = tessera("doctor", "--kafka", "--json", kafka=bare_broker, partitions=6)
    assert more.returncode == 0 and "TESSERA_PARTITIONS" in verdicts(more.stdout)["topics"]["advice"]


def test_an_unreachable_broker_is_one_line_within_seconds() -> None:
    began = time.monotonic()
    ended = tessera("doctor", "--kafka", **UNREACHABLE)
    assert time.monotonic() - began < ANSWER_WITHIN_S
    assert (ended.returncode, ended.stdout, ended.stderr.count(b"\n")) == (2, b"", 1)
    assert b"no Kafka broker answers" in ended.stderr and b"`tessera broker start`" in ended.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rounds", "3"), b"belong to --marker-probe"),
        (("--marker-probe", "--rounds", "0"), b"0 is not in the range"),
        (("--marker-probe", "--ids", "1000"), b"1000 is not in the range"),
        (("--marker-probe", "--bootstrap-servers", "localhost:1"), b"kills its broker"),
        (("--marker-probe", "--kafka-version", "4"), b"three numbers"),
        (("--marker-probe", "--kafka-version", "../../etc"), b"three numbers"),
        (("--marker-probe", "--keep", "."), b"exists"),
    ],
)
def test_doctor_refuses_invalid_options(words: tuple[str, ...], said: bytes) -> None:
    ended = tessera("doctor", *words, **UNREACHABLE)
    assert ended.returncode == 2 and said in ended.stderr and b"Traceback" not in ended.stderr


def test_doctor_is_a_command_with_examples() -> None:
    assert "doctor" in COMMANDS
    assert b"tessera doctor --kafka --marker-probe" in tessera("doctor", "--help").stdout


@pytest.mark.parametrize(
    ("metadata", "release"),
    [(None, None), (21, "3.9 or older"), (25, "4.0"), (26, "4.1"), (29, "4.2"), (30, "4.3"), (31, "4.4"), (34, None)],
)
def test_release_follows_from_the_newest_metadata(metadata: int | None, release: str | None) -> None:
    assert release_of(metadata) == release


CONFIGS = {
    "message.timestamp.type": "LogAppendTime",
    "cleanup.policy": "delete",
    "unclean.leader.election.enable": "false",
    "max.message.bytes": "1000",
    "retention.ms": "-1",
    "min.insync.replicas": "2",
}


def one_topic(copies_kept: int = 3, leader: int = 1, plans: int = 1, **changed: str) -> Inspected:
    """A Kafka with one topic, its settings as planned but for those given (dots as underscores)."""
    configs = {**CONFIGS, **{name.replace("_", "."): value for name, value in changed.items()}}
    names = [f"topic-{number}" for number in range(plans)]
    return Inspected(
        settings=Settings.read(allow_plaintext=True),
        cluster=None,  # type: ignore[arg-type]  # these checks ask nothing more
        plans={name: TopicPlan(name, 1, 3, CONFIGS) for name in names},
        brokers=(1, 2, 3),
        topics={"topic-0": (Partition(0, leader, copies_kept),)},
        configs={"topic-0": configs},
    )


@pytest.mark.parametrize(
    ("check", "kafka", "state"),
    [
        (topic_settings, one_topic(), State.OK),
        (topic_settings, one_topic(message_timestamp_type="CreateTime"), State.FAILED),
        (topic_settings, one_topic(unclean_leader_election_enable="true"), State.FAILED),
        (topic_settings, one_topic(cleanup_policy="compact"), State.FAILED),
        (message_size, one_topic(), State.OK),
        (message_size, one_topic(max_message_bytes="999"), State.FAILED),
        (copies, one_topic(), State.OK),
        (copies, one_topic(copies_kept=1, min_insync_replicas="1"), State.WARNING),
        (copies, one_topic(min_insync_replicas="1"), State.WARNING),
        (copies, one_topic(copies_kept=1), State.FAILED),
        (copies, replace(one_topic(), topics={}, configs={}), State.WARNING),  # three brokers, one copy asked for
        (leaders, one_topic(), State.OK),
        (leaders, one_topic(leader=-1), State.FAILED),
        (topics, one_topic(plans=2), State.FAILED),
    ],
)
async def test_doctor_finds_each_deviation_of_brokers_and_topics(check: Any, kafka: Inspected, state: State) -> None:
    found, said, advice = await check(kafka)
    assert found == state and said and (advice or state == State.OK)


@pytest.mark.parametrize(
    ("policy", "kept_days", "state", "says"),
    [
        ("compact,delete", 15, State.OK, "keeps ids for 15 days"),
        ("delete,compact", 20, State.OK, "keeps ids for 20 days"),
        ("compact", 7, State.WARNING, "keeps every id for ever, and 15 days are needed"),
        ("compact,delete", -1, State.WARNING, "keeps every id for ever"),
        ("compact,delete", 7, State.FAILED, "forgets ids after 7 days, and TESSERA_ID_WINDOW_DAYS needs 15 days"),
    ],
)
async def test_the_topic_of_settled_ids_is_told_by_what_the_window_needs(
    policy: str, kept_days: int, state: State, says: str
) -> None:
    kept_ms, settings = kept_days * 86_400_000, Settings.read()
    plans = {plan.name: plan for plan in planned_topics(settings) if plan.name == SETTLED_QUERIES.name}
    topics = {name: (Partition(0, 1, 1),) for name in plans}
    configs = {name: {"cleanup.policy": policy, "retention.ms": str(max(-1, kept_ms))} for name in plans}

    found, said, advice = await id_window(Inspected(settings, None, plans, (1,), topics, configs))  # type: ignore[arg-type]

    assert found == state and says in said
    if state is not State.OK:
        assert "--add-config cleanup.policy=[compact,delete],retention.ms=1296000000,segment.ms=86400000" in advice


def test_the_marker_probe_without_maven_states_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = tessera("doctor", "--marker-probe", **UNREACHABLE)
    assert ended.returncode == 2 and b"apt-get install openjdk-17-jre-headless maven" in ended.stderr


async def test_a_remembered_id_in_another_partition_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def misplaced(*_: Any) -> int:
        raise Misplaced("partition 0 offset 3: this query id belongs to partition 1 of 2")

    monkeypatch.setattr(kafka_deduplication, "check_placement", misplaced)
    partitions = {SETTLED_QUERIES.name: (Partition(0, 1, 3),)}
    kafka = replace(one_topic(), plans={SETTLED_QUERIES.name: TopicPlan("", 1, 3, {})}, topics=partitions)

    state, said, advice = await kafka_deduplication.remembered_ids(kafka)

    assert state is State.FAILED and "belongs to partition 1 of 2" in said and "infra/partitions.md" in advice


class Settled:
    """A cluster whose brokers have these settings."""

    def __init__(self, **configs: str) -> None:
        self.configs = {name.replace("_", "."): value for name, value in configs.items()}

    async def broker_configs(self, broker: int, names: list[str]) -> dict[str, str]:
        return {name: self.configs[name] for name in names if name in self.configs}


@pytest.mark.parametrize(
    ("minutes", "ids_ms", "state", "said"),
    [
        (129_600, 604_800_000, State.OK, "longer than records wait"),
        (10_080, 604_800_000, State.WARNING, "offsets.retention.minutes to 129600 or more"),
        (129_600, 3_600_000, State.WARNING, "transactional.id.expiration.ms to 604800000 or more"),
    ],
)
async def test_doctor_compares_offset_and_transactional_id_retention_with_what_they_protect(
    minutes: int, ids_ms: int, state: State, said: str
) -> None:
    cluster = Settled(offsets_retention_minutes=str(minutes), transactional_id_expiration_ms=str(ids_ms))

    found = await forgetting(replace(one_topic(), cluster=cluster))  # type: ignore[arg-type]

    assert found[0] is state and said in " ".join(found[1:])
