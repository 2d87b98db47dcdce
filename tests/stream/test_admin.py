"""Topics and first offsets on a real broker."""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Mapping

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import NotCoordinatorForGroupError

from schemas.topics import CHARGED, DEAD_LETTER_MAX_BYTES, PROFILES, QUERIES, SCORED, SETTLED_QUERIES, TOPICS
from workers.devkafka import DevelopmentBroker
from workers.devkafka.ports import free_port
from workers.errors import BrokerError
from workers.pipeline import POSITIONS
from workers.settings import Settings
from workers.stream.admin.description import describe_topics
from workers.stream.admin.first_offsets import initialise_offsets
from workers.stream.admin.plans import planned_topics
from workers.stream.admin.topics import create_topics
from workers.stream.connection import admin_client
from workers.stream.connection.admin_client import Cluster
from workers.stream.connection.clients import Clients
from workers.stream.offsets import Completion


@pytest.fixture
async def settings(kafka: str) -> Settings:
    """Settings of a broker that has the topics."""
    settings = Settings.read(bootstrap_servers=kafka)
    await create_topics(settings)
    return settings


@pytest.fixture
def group() -> str:
    return f"test.{uuid.uuid4().hex}"


@pytest.fixture
async def member(settings: Settings, group: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A running consumer of the group."""
    consumer = AIOKafkaConsumer(
        QUERIES.name, bootstrap_servers=settings.bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    async with asyncio.timeout(30):
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=100)
    yield consumer
    await consumer.stop()


async def committed(settings: Settings, group: str, topic: str) -> Mapping[int, int]:
    async with Clients(settings).cluster() as cluster:
        return await cluster.retry(lambda: cluster.committed(group, topic, range(settings.partitions)))


def test_the_topic_plan_has_every_topic_and_a_dead_letter_topic_for_each_consumed_one() -> None:
    # Given a production cluster and more partitions than the billing topic's own
    plans = {p.name: p for p in planned_topics(Settings.read(partitions=32, replication_factor=3))}
    # Then
    assert set(plans) == {topic.name for topic in TOPICS} | {
        f"auction.{name}.v1.dlq" for name in ("query.submitted", "candidates.generated", "candidates.scored")
    } | {f"auction.{name}.position.v1" for name in ("generation", "scoring", "settlement", "incentives")}
    assert {p.replication for p in plans.values()} == {3}
    assert {p.configs["min.insync.replicas"] for p in plans.values()} == {"2"}
    assert plans[CHARGED.name].partitions == 32 and plans[QUERIES.dead_letters].partitions == 1
    assert plans[SCORED.name].configs["retention.ms"] == str(90 * 24 * 3600 * 1000)


@pytest.mark.parametrize("partitions", [1, 4, 32])
def test_the_topic_of_settled_ids_is_kept_for_the_id_window_and_partitioned_like_its_input(partitions: int) -> None:
    plans = {p.name: p for p in planned_topics(Settings.read(partitions=partitions, id_window_days=3))}
    policies = {name: plan.configs["cleanup.policy"] for name, plan in plans.items()}
    assert {name for name, policy in policies.items() if policy == "compact"} == {*POSITIONS, PROFILES.name}
    assert {name for name, policy in policies.items() if policy == "delete"} == (
        set(plans) - {SETTLED_QUERIES.name, PROFILES.name, *POSITIONS}
    )
    assert policies[SETTLED_QUERIES.name] == "compact,delete"
    assert plans[SETTLED_QUERIES.name].configs["retention.ms"] == str((2 * 3 + 1) * 24 * 3600 * 1000)
    assert plans[SETTLED_QUERIES.name].configs["segment.ms"] == str(24 * 3600 * 1000)
    assert plans[SETTLED_QUERIES.name].partitions == plans[SCORED.name].partitions == partitions


def test_on_one_node_topics_are_planned_with_one_replica() -> None:
    plans = {p.name: p for p in planned_topics(Settings.read())}
    assert plans[CHARGED.name].partitions == CHARGED.partitions
    assert plans[QUERIES.name].configs["min.insync.replicas"] == "1"


@pytest.mark.kafka
async def test_topics_are_created_once_and_shown_by_describe(kafka: str) -> None:
    # Given
    settings = Settings.read(bootstrap_servers=kafka)
    # When they are created twice
    first, second = await create_topics(settings), await create_topics(settings)
    # Then the second time changes nothing, and the brokers have what was planned
    names = [plan.name for plan in planned_topics(settings)]
    assert sorted(first.created + first.existing) == sorted(names)
    assert (second.created, list(second.existing)) == ((), names)
    states = {state.topic: state for state in await describe_topics(settings)}
    assert list(states) == names
    assert {name: s.partitions for name, s in states.items()} == {
        p.name: p.partitions for p in planned_topics(settings)
    }
    assert states[SETTLED_QUERIES.name].retention_ms == (2 * 7 + 1) * 24 * 3600 * 1000
    async with Clients(Settings.read(bootstrap_servers=kafka)).cluster() as cluster:
        found = await cluster.retry(lambda: cluster.configs(names, ["cleanup.policy"]))
    assert {name for name, one in found.items() if one["cleanup.policy"] == "compact,delete"} == {SETTLED_QUERIES.name}
    assert states[QUERIES.name].retention_ms == 7 * 24 * 3600 * 1000
    assert states[QUERIES.name].max_message_bytes == QUERIES.max_message_bytes
    assert states[QUERIES.dead_letters].max_message_bytes == DEAD_LETTER_MAX_BYTES
    assert states[QUERIES.name].replication == settings.replication_factor


@pytest.mark.kafka
async def test_two_concurrent_creators_of_topics_agree(broker: DevelopmentBroker) -> None:
    settings = Settings.read(bootstrap_servers=broker.bootstrap_servers)
    both = await asyncio.gather(create_topics(settings), create_topics(settings))
    assert all(len(made.created + made.existing) == len(planned_topics(settings)) for made in both)


@pytest.mark.kafka
async def test_a_topic_with_another_partition_count_is_an_error(settings: Settings) -> None:
    with pytest.raises(BrokerError, match=rf"{QUERIES.name} has 4, not 5"):
        await create_topics(settings.model_copy(update={"partitions": 5}))


@pytest.mark.kafka
async def test_more_replicas_than_brokers_is_an_error_that_names_the_setting(
    broker: DevelopmentBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a cluster of one broker that does not have the topics yet
    monkeypatch.setattr(Cluster, "partitions", _no_topics)
    # When three copies are asked for
    settings = Settings.read(bootstrap_servers=broker.bootstrap_servers, replication_factor=3)
    # Then (a topic that exists is refused as such before its copies are counted, so the name must be new)
    new = {f"{QUERIES.name}.{uuid.uuid4().hex}": QUERIES}
    monkeypatch.setattr("workers.stream.admin.plans.DEAD_LETTERS", new)
    with pytest.raises(BrokerError, match="TESSERA_REPLICATION_FACTOR"):
        await create_topics(settings)


async def _no_topics(cluster: Cluster) -> dict[str, tuple[object, ...]]:
    return {}


@pytest.mark.kafka
async def test_first_offsets_are_committed_when_the_call_returns(settings: Settings, group: str) -> None:
    # When
    (first,) = await initialise_offsets(settings, {group: QUERIES.name})
    (second,) = await initialise_offsets(settings, {group: QUERIES.name})
    # Then
    assert (first.partitions_written, first.partitions_kept) == (4, 0)
    assert (second.partitions_written, second.partitions_kept) == (0, 4)
    assert await committed(settings, group, QUERIES.name) == dict.fromkeys(range(4), 0)


@pytest.mark.kafka
async def test_an_existing_committed_offset_is_never_moved(settings: Settings, group: str) -> None:
    # Given a group with an offset in one partition
    async with Clients(settings).cluster() as cluster:
        await cluster.retry(lambda: cluster.commit(group, QUERIES.name, {2: Completion(77)}))
    # When
    (first,) = await initialise_offsets(settings, {group: QUERIES.name})
    # Then
    assert (first.partitions_written, first.partitions_kept) == (3, 1)
    assert await committed(settings, group, QUERIES.name) == {0: 0, 1: 0, 2: 77, 3: 0}


@pytest.mark.kafka
async def test_refused_and_lost_offset_commits_are_retried(
    settings: Settings, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a coordinator that refuses one write and forgets another, as a young one does
    write, calls = Cluster.commit, []

    async def unsteady(cluster: Cluster, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        calls.append(sorted(offsets))
        if len(calls) == 1:
            raise NotCoordinatorForGroupError("loading")
        kept = {n: offsets[n] for n in offsets if n != 3} if len(calls) == 2 else offsets
        await write(cluster, group, topic, kept)

    monkeypatch.setattr(Cluster, "commit", unsteady)
    # When
    (first,) = await initialise_offsets(settings, {group: QUERIES.name})
    # Then only what was missing was written again
    assert calls == [[0, 1, 2, 3], [0, 1, 2, 3], [3]]
    assert first.partitions_written == 4
    assert await committed(settings, group, QUERIES.name) == dict.fromkeys(range(4), 0)


@pytest.mark.kafka
async def test_first_offsets_are_found_while_the_coordinators_of_a_restarted_broker_still_load(
    broker: DevelopmentBroker,
) -> None:
    # Given groups with offsets on a broker that is killed
    settings = Settings.read(bootstrap_servers=broker.bootstrap_servers)
    await create_topics(settings)
    groups = {f"test.{uuid.uuid4().hex}": QUERIES.name for _ in range(4)}
    await initialise_offsets(settings, groups)
    broker.kill()
    # When offsets are initialised while its coordinators may still load
    broker.launch()
    async with asyncio.timeout(60):
        while not await _port_answers(broker.port):
            await asyncio.sleep(0.02)
    again = await initialise_offsets(settings, groups)
    # Then all are found, none is written again
    assert [first.partitions_written for first in again] == [0] * 4
    broker.wait_until_ready()


async def _port_answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@pytest.mark.kafka
async def test_offsets_of_a_group_with_running_workers_are_not_written(
    settings: Settings, group: str, member: AIOKafkaConsumer
) -> None:
    with pytest.raises(BrokerError, match=f"group {group} has running workers"):
        await initialise_offsets(settings, {group: QUERIES.name})


@pytest.mark.kafka
async def test_offsets_of_a_missing_topic_name_the_command(settings: Settings, group: str) -> None:
    with pytest.raises(BrokerError, match=r"auction\.nothing\.v1 does not exist; `tessera topics create`"):
        await initialise_offsets(settings, {group: "auction.nothing.v1"})


@pytest.mark.kafka
async def test_describe_counts_records_and_consumer_lag(settings: Settings, group: str) -> None:
    # Given two groups, one without offsets, and three more records
    await initialise_offsets(settings, {group: SCORED.name})
    groups = {group: SCORED.name, f"{group}.new": SCORED.name}
    before = {state.topic: state for state in await describe_topics(settings, groups)}[SCORED.name]
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    await producer.start()
    for number in range(3):
        await producer.send_and_wait(SCORED.name, b"record", partition=number)
    await producer.stop()
    # When
    after = {state.topic: state for state in await describe_topics(settings, groups)}[SCORED.name]
    # Then
    assert after.records - before.records == 3
    assert [lag.group for lag in after.groups] == list(groups)
    assert after.groups[0].lag_records == after.records and after.groups[1].lag_records is None


@pytest.mark.kafka
@pytest.mark.usefixtures("member")
async def test_describe_tells_the_groups_that_somebody_runs(settings: Settings, group: str) -> None:
    groups = {group: QUERIES.name, f"{group}.new": QUERIES.name}

    states = {state.topic: state for state in await describe_topics(settings, groups)}

    assert [lag.members for lag in states[QUERIES.name].groups] == [1, 0]


async def test_an_unreachable_broker_is_one_error_with_advice(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    # Given a port where nobody listens
    settings = Settings.read(bootstrap_servers=f"127.0.0.1:{free_port()}")
    # When
    with pytest.raises(BrokerError) as refused:
        await describe_topics(settings)
    # Then the message names the place, the setting and the remedy, and nothing else is printed
    for words in (
        settings.bootstrap_servers,
        "TESSERA_BOOTSTRAP_SERVERS",
        "tessera broker start",
        "Connect call failed",
    ):
        assert words in str(refused.value)
    assert capfd.readouterr() == ("", "")


async def test_an_unknown_host_is_one_error_with_advice() -> None:
    with pytest.raises(BrokerError, match="TESSERA_BOOTSTRAP_SERVERS"):
        await describe_topics(Settings.read(bootstrap_servers="no.such.host.invalid:9092"))


async def test_a_port_that_never_answers_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given something that accepts connections and says nothing, and a tenth of the patience
    assert admin_client.REQUEST_TIMEOUT_S < admin_client.CONNECT_TIMEOUT_S < 10
    monkeypatch.setattr(admin_client, "REQUEST_TIMEOUT_S", 0.8)
    with socket.create_server(("127.0.0.1", free_port())) as mute:
        settings = Settings.read(bootstrap_servers=f"127.0.0.1:{mute.getsockname()[1]}")
        # When, then
        async with asyncio.timeout(5):
            with pytest.raises(
                BrokerError, match=r"no Kafka broker answers[\s\S]*: no answer\. `tessera broker start`"
            ):
                await create_topics(settings)
