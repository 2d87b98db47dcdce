"""What the transactional writer takes for granted of aiokafka's release."""

import random

import aiokafka
import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer import sender

from workers.stream import writer


def test_the_constant_between_transactions_exists_and_is_ours() -> None:
    assert aiokafka.__version__ == "0.14.0"
    assert sender.BACKOFF_OVERRIDE == writer.PAUSE_BETWEEN_TRANSACTIONS_S == 0.002


@pytest.mark.parametrize("count", [1, 4, 12])
def test_keys_are_placed_as_every_other_client_places_them(count: int) -> None:
    theirs, partitions = DefaultPartitioner(), list(range(count))
    for _ in range(200):
        key = random.randbytes(random.randrange(80))
        assert writer.place(key, count) == theirs(key, partitions, partitions)


def test_a_record_without_a_key_goes_to_any_partition() -> None:
    assert {writer.place(None, 3) for _ in range(200)} == {0, 1, 2}
