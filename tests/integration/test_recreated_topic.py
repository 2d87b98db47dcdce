"""A query topic that is deleted and made again: at an old place stands another question, with ids of its own."""

import uuid
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.envelope import Event, from_record
from schemas.topics import QUERIES
from tests.operations.test_metrics import make_metrics
from tests.stages.test_generation import generate
from tests.support.kafka_client import produce
from workers.settings import Settings
from workers.stream.kafka import KafkaBus

pytestmark = pytest.mark.kafka

WAIT_S = 30
ATTEMPTS = 100


def made(admin: AdminClient, name: str) -> None:
    """The topic, once the broker is done with deleting one of that name."""
    for attempt in range(ATTEMPTS):
        topic = NewTopic(name, 1, 1, config={"message.timestamp.type": "LogAppendTime"})
        try:
            admin.create_topics([topic], request_timeout=WAIT_S)[name].result(WAIT_S)
            return
        except KafkaException:
            if attempt == ATTEMPTS - 1:
                raise


async def asked(kafka: str, name: str) -> Event[Any]:
    """A keyless question, as the first record of the topic."""
    produce(kafka, [(None, b'{"text":"How?"}', ())], name)
    settings = Settings.read(bootstrap_servers=kafka, allow_plaintext=True)
    (record,) = [record async for record in KafkaBus(settings, make_metrics()).stored([name])]
    assert record.place == f"{name}/0/0"
    again = [record async for record in KafkaBus(settings, make_metrics()).stored([name])]
    assert again == [record]  # whoever reads it finds the same
    return from_record(record, QUERIES)


async def test_a_topic_begun_anew_gives_new_ids_for_the_same_query(kafka: str) -> None:
    admin, name = AdminClient({"bootstrap.servers": kafka}), f"test.anew.{uuid.uuid4().hex}"
    made(admin, name)
    first = await asked(kafka, name)

    admin.delete_topics([name], request_timeout=WAIT_S)[name].result(WAIT_S)
    made(admin, name)
    second = await asked(kafka, name)

    assert first.value == second.value
    auctions = {(await generate(event)).data.auction_id for event in (first, second)}
    assert (len({first.subject, second.subject}), len({first.id, second.id}), len(auctions)) == (2, 2, 2)
