"""Which partitions count as added, and which topics may grow."""

import pytest

from schemas.topics import GENERATED, MAY_GROW, QUERIES, SCORED
from workers.stream.partition.added_partitions import is_added


def test_only_topics_whose_readers_do_not_deduplicate_may_get_partitions() -> None:
    assert MAY_GROW == {QUERIES.name, GENERATED.name} and SCORED.name not in MAY_GROW


@pytest.mark.parametrize(
    ("committed", "number", "added"),
    [
        ({0: 7, 1: 0, 2: -1, 3: -1}, 2, True),
        ({0: 7, 1: 0, 2: -1, 3: 4}, 2, True),  # the other added partition was begun first
        ({0: -1, 1: -1}, 1, False),  # a group that never began, or whose offsets Kafka has forgotten
        ({0: -1, 1: 5}, 0, False),
        ({0: 7, 1: 5}, 1, False),
    ],
)
def test_a_partition_without_an_offset_was_added_if_its_group_has_one_in_a_lower_partition(
    committed: dict[int, int], number: int, added: bool
) -> None:
    assert is_added(number, committed) is added
