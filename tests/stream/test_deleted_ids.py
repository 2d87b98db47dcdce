"""A tombstone in the topic of settled ids stops nothing and frees no id; what is no settled id ends the start."""

import logging

import pytest

from schemas.reasons import DeadLetterReason
from tests.stream.test_restore import WINDOW, Log
from tests.support.builders import make_scored
from tests.support.kafka_client import produce
from workers.errors import Refused, Unsuitable
from workers.stream.deduplication.deduplicator import Once
from workers.stream.deduplication.volatile import VolatileStore

pytestmark = pytest.mark.kafka


@pytest.fixture
async def log(kafka: str) -> Log:
    made = Log(kafka)
    await made.create()
    return made


async def test_a_deleted_id_stays_settled(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    # Given two settled ids, of which somebody deletes one
    deleted, kept = (make_scored(number) for number in range(2))
    await log.write([deleted.data.query_id, kept.data.query_id])
    produce(log.kafka, [(deleted.data.query_id.encode(), None, [])], log.name)
    store = VolatileStore()
    # When the memory is restored
    with caplog.at_level(logging.WARNING):
        await log.restore(store).run(log.clients)
    # Then the tombstone is named, and neither id can be settled again
    assert "deletes a settled id" in caplog.text and log.name in caplog.text
    once = Once(log.topic, store, WINDOW)
    for event in (deleted, kept):
        with pytest.raises(Refused) as refused:
            await once.work(event, _never)
        assert refused.value.reason is DeadLetterReason.DUPLICATE_QUERY


async def test_a_record_that_is_no_settled_id_ends_the_start_and_names_its_offset(log: Log) -> None:
    await log.write(["one"], value=b"no event")
    with pytest.raises(Unsuitable, match=rf"{log.name} partition 0 offset 0: .*Somebody else wrote it"):
        await log.restore(VolatileStore()).run(log.clients)


async def _never(_: object) -> tuple[()]:
    raise AssertionError("worked on")
