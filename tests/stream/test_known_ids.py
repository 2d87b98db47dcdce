"""The table of known ids against a dict, and what it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.known_ids import BYTES_PER_WORD, FIRST_SLOTS, SHELVES, KnownIds, _Shelf

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
        assert (known.find(id_) == (known.word(holder),)) == (model.get(id_) == holder)


@given(st.lists(st.tuples(IDS, IDS, IDS), max_size=60))
def test_an_id_can_stand_for_several_texts(added: list[tuple[str, str, str]]) -> None:
    known = KnownIds(texts=2)
    for id_, *texts in added:
        known.add(id_, *texts)

    for id_, *texts in {id_: (id_, *texts) for id_, *texts in added}.values():
        assert known.find(id_) == tuple(map(known.word, texts))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 9)), max_size=60))
def test_digests_that_crowd_the_same_slots_are_told_apart(added: list[tuple[int, int, int]]) -> None:
    shelf = _Shelf(words=3, slots=2)
    for high, low, holder in added:
        shelf.put(high, low << 8, holder)
    model = {(high, low << 8): (holder,) for high, low, holder in added}

    assert shelf.used == len(model)
    for high in range(4):
        for low in range(5):
            assert shelf.get(high, low << 8 or 1) == model.get((high, low << 8 or 1))


@pytest.mark.parametrize(("texts", "least", "most"), [(1, 36, 72), (2, 48, 96)])
def test_many_ids_take_as_little_as_stated(texts: int, least: int, most: int) -> None:
    known, count = KnownIds(texts), 100_000
    assert known.bytes_held == SHELVES * FIRST_SLOTS * (2 + texts) * BYTES_PER_WORD
    for number in range(count):
        known.add(f"query-{number}", *[f"auction-{number}"] * texts)

    assert len(known) == count
    assert least <= known.bytes_held / count <= most
    assert all(known.find(f"query-{n}") == (known.word(f"auction-{n}"),) * texts for n in range(0, count, 97))
    assert not any(f"other-{number}" in known for number in range(0, count, 97))
