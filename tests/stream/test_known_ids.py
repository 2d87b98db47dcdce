"""The table of known ids against a dict, and what it takes."""

from hypothesis import given
from hypothesis import strategies as st

from workers.known_ids import BYTES_PER_SLOT, FIRST_SLOTS, SHELVES, KnownIds, _Shelf

IDS = st.integers(0, 40).map(str)


@given(st.lists(st.tuples(IDS, IDS)), st.lists(st.tuples(IDS, IDS)))
def test_it_answers_as_a_dict_does(added: list[tuple[str, str]], asked: list[tuple[str, str]]) -> None:
    known = KnownIds()
    for id_, holder in added:
        known.add(id_, holder)
    model = dict(added)

    assert len(known) == len(model)
    for id_, holder in [*added, *asked]:
        assert (id_ in known) == (id_ in model)
        assert known.has_another(id_, holder) == (id_ in model and model[id_] != holder)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 9)), max_size=60))
def test_digests_that_crowd_the_same_slots_are_told_apart(added: list[tuple[int, int, int]]) -> None:
    shelf = _Shelf(slots=2)
    for high, low, holder in added:
        shelf.put(high, low << 8, holder)
    model = {(high, low << 8): holder for high, low, holder in added}

    assert shelf.used == len(model)
    for high in range(4):
        for low in range(5):
            assert shelf.get(high, low << 8 or 1) == model.get((high, low << 8 or 1))


def test_many_ids_take_as_little_as_stated() -> None:
    known, count = KnownIds(), 100_000
    assert known.bytes_held == SHELVES * FIRST_SLOTS * BYTES_PER_SLOT
    for number in range(count):
        known.add(f"query-{number}", f"auction-{number}")

    assert len(known) == count
    assert 36 <= known.bytes_held / count <= 72
    assert not any(known.has_another(f"query-{number}", f"auction-{number}") for number in range(0, count, 97))
    assert all(known.has_another(f"query-{number}", "auction-x") for number in range(0, count, 97))
    assert not any(known.has_another(f"other-{number}", "auction-x") for number in range(0, count, 97))
