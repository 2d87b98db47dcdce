"""The table of known ids against a set, and what it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.id_set import BYTES_PER_WORD, FIRST_SLOTS, SHELVES, KnownIds, _Shelf

IDS = st.integers(0, 40).map(str)


@given(st.lists(IDS), st.lists(IDS))
def test_known_ids_answer_as_a_set_does(added: list[str], asked: list[str]) -> None:
    known = KnownIds()
    for id_ in added:
        known.add(id_)
    model = set(added)

    assert len(known) == len(model)
    for id_ in [*added, *asked]:
        assert (id_ in known) == (id_ in model)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=60))
def test_digests_that_crowd_the_same_slots_are_told_apart(added: list[tuple[int, int]]) -> None:
    shelf = _Shelf(slots=2)
    for high, low in added:
        shelf.put(high, low << 8)
    model = {(high, low << 8) for high, low in added}

    assert shelf.used == len(model)
    for high in range(4):
        for low in range(5):
            assert shelf.has(high, low << 8 or 1) == ((high, low << 8 or 1) in model)


@pytest.mark.parametrize(("least", "most"), [(24, 48)])
def test_many_ids_take_no_more_memory_than_documented(least: int, most: int) -> None:
    known, count = KnownIds(), 100_000
    assert known.bytes_held == SHELVES * FIRST_SLOTS * 2 * BYTES_PER_WORD
    for number in range(count):
        known.add(f"query-{number}")

    assert len(known) == count
    assert least <= known.bytes_held / count <= most
    assert all(f"query-{number}" in known for number in range(0, count, 97))
    assert not any(f"other-{number}" in known for number in range(0, count, 97))
