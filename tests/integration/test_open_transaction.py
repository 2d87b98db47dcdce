"""Somebody's transaction that does not end is named by doctor and by `topics describe`, with what ends it."""

import pytest
from confluent_kafka import Producer

from schemas.topics import QUERIES
from tests.support.strict_broker import StrictBroker
from tests.support.topic_settings import altered
from tests.support.worker_process import tessera
from workers.doctor import kafka_transactions
from workers.doctor.kafka import inspect_kafka
from workers.doctor.verdict import State
from workers.settings import Settings

PARTITION, TIMEOUT_S = 1, 9
STRANGER = "somebody.elses"


@pytest.mark.kafka
async def test_a_transaction_that_does_not_end_is_named_with_what_ends_it(
    strict: StrictBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a transaction of a stranger's on the query topic, older than any of the workers' may be
    monkeypatch.setattr(kafka_transactions, "LONGEST_OWN_S", -60.0)
    settings = Settings.read(bootstrap_servers=strict.bootstrap_servers)
    stranger = Producer(
        {
            "bootstrap.servers": strict.bootstrap_servers,
            "transactional.id": STRANGER,
            "transaction.timeout.ms": TIMEOUT_S * 1_000,
        }
    )
    stranger.init_transactions(30)
    stranger.begin_transaction()
    stranger.produce(QUERIES.name, b"{}", b"key", partition=PARTITION)
    assert stranger.flush(30) == 0
    # Then it is found
    (found,) = await inspect_kafka(settings, ["transactions"])
    assert found.state is State.FAILED
    assert repr(STRANGER) in found.said and f"{QUERIES.name} {PARTITION}" in found.said
    assert f"aborts its transaction {TIMEOUT_S} s after it began" in found.advice
    # And no more when it has ended
    stranger.abort_transaction(30)
    (found,) = await inspect_kafka(settings, ["transactions"])
    assert found.state is State.OK


@pytest.mark.kafka
def test_describe_tells_what_keeps_records_from_being_written(strict: StrictBroker) -> None:
    with altered(strict.bootstrap_servers, QUERIES.name, {"max.message.bytes": "100000"}):
        shown = tessera("topics", "describe", "--json", kafka=strict.bootstrap_servers)
    assert shown.returncode == 0
    assert f"message size: max.message.bytes: {QUERIES.name} 100000 <" in shown.stderr.decode()
    assert f"--add-config max.message.bytes={QUERIES.max_message_bytes}`" in shown.stderr.decode()
