"""Topics that take less than the stages write: the record is at fault, and those behind it get their answers."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.topics import GENERATED, QUERIES, SETTLED
from tests.integration.test_bad_input import GOOD
from tests.support.kafka_client import Reader, header, of
from tests.support.poisoned_batches import batch, produce_batches, raw_record
from tests.support.worker_process import worker

pytestmark = pytest.mark.kafka


@contextmanager
def takes_at_most(kafka: str, topic: str, size: int, usual: int) -> Iterator[None]:
    """The topic's limit, changed while stages run; their own look at it is behind them."""
    admin = AdminClient({"bootstrap.servers": kafka})

    def set_to(size: int) -> None:
        entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        for done in admin.incremental_alter_configs([resource]).values():
            done.result(30)

    set_to(size)
    try:
        yield
    finally:
        set_to(usual)


def test_a_query_whose_result_exceeds_the_topics_limit_is_too_large_and_the_rest_settle(
    topics: str, tmp_path: Path
) -> None:
    # Given a worker, and a topic of candidates that has become too small for those of long texts: four replies of 32
    # tokens take 2 to 3.3 kB without the text, whatever is drawn for them, and with the text of 3.5 kB always too much
    run = uuid.uuid4().hex[:8]
    names = [f"{run}-{number}" for number in range(24)]
    large = {names[at] for at in (0, 7, 8, 20)}
    bodies = [{**GOOD, "query_id": name, "text": "long " * 700 if name in large else GOOD["text"]} for name in names]
    replies = {"candidates": 4, "max_tokens": 32}
    written = [batch([raw_record(json.dumps(body).encode())]) for body in bodies]
    with (
        Reader(topics) as reader,
        worker(["generation", "scoring", "settlement"], topics, tmp_path / "log", **replies) as running,
        takes_at_most(topics, GENERATED.name, 5_000, GENERATED.max_message_bytes),
    ):
        # When queries come, of which four lead to more
        produce_batches(topics, written, partition=2)
        letters = reader.until(lambda messages: len(of(messages, QUERIES.dead_letters)) >= len(large))
        reader.until(lambda messages: len(of(messages, SETTLED.name)) >= len(names) - len(large))
        messages = reader.rest(1.0)
        assert running.process.poll() is None

    # Then these are dead letters, whole, and the others are settled
    letters = of(messages, QUERIES.dead_letters)
    assert {(json.loads(one.value())["query_id"], header(one, "dlq.reason")) for one in letters} == {
        (name, "TOO_LARGE") for name in large
    }
    assert len(letters) == len(large)
    settled = [json.loads(message.value())["query_id"] for message in of(messages, SETTLED.name)]
    assert sorted(settled) == sorted({*names} - large)
