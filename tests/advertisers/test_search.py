"""What a question finds among the advertisers, and that no question costs more than its bound."""

import random
from typing import Any

import pytest

from tests.support.builders import envelop, make_profile
from workers.advertisers.registry import Registered, register
from workers.advertisers.search import SCANNED, SearchIndex


def registered(description: str, **changes: Any) -> Registered:
    return register(None, envelop(make_profile(0, description=description, **changes)))


def indexed(**descriptions: str) -> SearchIndex:
    index = SearchIndex()
    for id_, description in descriptions.items():
        index.update(id_, registered(description))
    return index


def found(index: SearchIndex, text: str, most: int = 32) -> list[str]:
    return [id_ for id_, _ in index.find(text, most)]


SHOPS = {
    "oven": "selling baking ingredients",
    "bike": "repairing bicycles",
    "canoe": "renting out canoes and bicycles",
    "cello": "teaching the cello",
}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("How do I bake cookies?", ["oven"]),
        ("Who repairs my BICYCLE?", ["bike", "canoe"]),
        ("Wo ist ein Célló?", ["cello"]),
        ("What is the capital of France?", ["cello"]),  # by "the", which only one of four descriptions has
        ("Why?", []),
        ('" OR NEAR( * -bicycles: "', ["bike", "canoe"]),
        ("\x00 ' ; DROP TABLE advertiser", []),
    ],
)
def test_a_question_finds_those_whose_words_it_shares_the_better_ones_first(text: str, ids: list[str]) -> None:
    assert sorted(found(indexed(**SHOPS), text)) == sorted(ids)
    assert found(indexed(**SHOPS), text)[:1] == ids[:1]


def test_who_has_more_and_rarer_words_of_the_question_ranks_before_others_and_equals_share_a_rank() -> None:
    index = indexed(a="red shoes", b="red shoes", c="red hats", d="red scarves")

    assert dict(index.find("where are red shoes", 4)) == {"a": 0, "b": 0, "c": 1, "d": 1}


def test_keywords_find_an_advertiser_and_its_name_does_not() -> None:
    index = SearchIndex()
    index.update("a", registered("selling baking ingredients", name="Zephyr", keywords=("sourdough",)))

    assert (found(index, "sourdough"), found(index, "Zephyr")) == (["a"], [])


def test_who_is_changed_paused_or_gone_is_found_as_it_is_now() -> None:
    index = indexed(**SHOPS)
    index.update("oven", registered("selling umbrellas"))
    index.update("bike", registered("repairing bicycles", status="paused"))
    index.update("canoe", None)
    index.update("nobody", None)

    assert (found(index, "baking"), found(index, "umbrella"), found(index, "bicycle"), len(index)) == (
        [],
        ["oven"],
        [],
        2,
    )
    index.update("bike", registered("repairing bicycles"))
    assert found(index, "bicycle") == ["bike"]


def test_an_index_after_many_changes_finds_what_one_made_anew_does() -> None:
    rng, words = random.Random(4), "red green blue shoes hats scarves boats oars sails".split()
    index, now = SearchIndex(), dict[str, str]()
    for _ in range(400):
        id_ = f"a{rng.randrange(30)}"
        now.pop(id_, None)
        if rng.random() < 0.7:
            now[id_] = " ".join(rng.choices(words, k=4))
        index.update(id_, registered(now[id_]) if id_ in now else None)
    anew = indexed(**now)

    for word in words:
        assert sorted(found(index, word)) == sorted(found(anew, word)) == sorted(id_ for id_ in now if word in now[id_])


def test_a_common_word_beside_a_rare_one_costs_nothing_and_alone_searches_a_part() -> None:
    index = SearchIndex()
    for number in range(2 * SCANNED):
        index.update(f"a{number}", registered("selling flour" + (" and yeast" if number % 700 == 0 else "")))

    assert sorted(found(index, "selling yeast")) == ["a0", "a1400", "a700"]
    first, second = found(index, "selling"), found(index, "selling flour")
    assert len(first) == len(second) == 32 and set(first) != set(second)
    assert found(index, "selling") == first
