"""The dialogues that the bundled model learns: what they never contain, and that their sentences fit together."""

import random
import re
from collections.abc import Iterable
from functools import cache

import pytest

from infra.embedded_model.aims import demo_thing
from infra.embedded_model.corpus import MAKERS, example
from infra.embedded_model.held_out import UNSEEN, demo, words
from infra.embedded_model.names import brand_name, look_alike, reserved
from infra.embedded_model.outside import OUTSIDE_NOUNS, OUTSIDE_PLURALS, OUTSIDE_TASKS
from infra.embedded_model.subjects import subjects
from infra.embedded_model.things import Thing
from infra.embedded_model.wording import gerund, second_person

EXAMPLES = 4000


@cache
def drawn() -> tuple[str, ...]:
    rng = random.Random(2)
    return tuple(f" {words(' '.join(example(rng)))} " for _ in range(EXAMPLES))


def found(phrases: Iterable[str]) -> set[str]:
    """Those of `phrases` that are drawn, as whole words."""
    everything = "|".join(drawn())
    return {phrase for phrase in phrases if f" {words(phrase)} " in everything}


def test_none_of_the_demos_queries_and_none_of_their_tasks_is_drawn() -> None:
    things = [demo_thing(query["text"]).text for query in demo()]
    held = {*things, *map(gerund, things), *(query["text"] for query in demo())}

    assert len(set(things)) == len(demo()) == 50
    assert not found(held)


def test_no_advertiser_of_the_demo_is_drawn_by_name_or_description() -> None:
    ads = [ad for query in demo() for ad in query["advertisers"]]
    names = re.compile("|".join(rf"\b{re.escape(words(ad['name']))}\b" for ad in ads))

    assert len(ads) == 100
    assert not names.search("|".join(drawn()))
    assert not found(ad["description"] for ad in ads)


def test_a_task_that_is_not_held_out_is_found_in_the_drawn_text() -> None:
    tasks = [task for one in subjects().values() for task in one.tasks]

    assert len(found(tasks)) > 0.3 * len(tasks)


def test_a_noun_never_seen_shares_no_word_with_any_list_of_the_corpus() -> None:
    lists = [*OUTSIDE_NOUNS, *OUTSIDE_PLURALS, *OUTSIDE_TASKS]
    for one in subjects().values():
        lists += [*one.tasks, *one.held, *one.nouns, *one.goods, *one.tips]
    known = set(words(" ".join(lists)).split()) - {"a", "an", "the"}

    assert len(UNSEEN) == len(set(UNSEEN)) == 50
    assert not [noun for noun in UNSEEN if known & set(words(noun).split())]


def test_equal_seeds_draw_equal_dialogues() -> None:
    first, second, third = (random.Random(seed) for seed in (7, 7, 8))

    assert [example(first) for _ in range(50)] == [example(second) for _ in range(50)]
    assert example(third) != example(random.Random(7))


@pytest.mark.parametrize("name", subjects())
def test_every_subject_has_enough_to_say_and_its_tips_are_bare_imperatives(name: str) -> None:
    one = subjects()[name]

    assert len(one.tasks) >= 7 and len(one.nouns) >= 7 and len(one.goods) >= 4 and len(one.tips) >= 8
    assert len(set(one.tips)) == len(one.tips)
    assert not [tip for tip in one.tips if tip[0].isupper() or tip.endswith((".", "!", "?"))]


@pytest.mark.parametrize("kind", ["reference", "advertiser", "context"])
def test_the_brands_of_a_reply_are_those_of_its_turn_but_for_very_few(kind: str) -> None:
    rng = random.Random(3)
    replies = [MAKERS[kind](rng) for _ in range(1500)]
    capitals = [
        set(re.findall(r"(?<=[a-z,] )[A-Z]\w*", reply)) - set(re.findall(r"\w+", turn)) for turn, reply in replies
    ]

    assert sum(bool(strange - {"I", "Sunday", "Friday"}) for strange in capitals) < 0.01 * len(replies)


def test_brands_are_of_many_shapes() -> None:
    rng = random.Random(4)
    made = [brand_name(rng) for _ in range(3000)]

    for shape in (
        r"[A-Z][a-z]+[A-Z][a-z]+",
        r"[A-Z]+",
        r"[a-z]+",
        r".*\d",
        r".* & .*",
        r".*'s .*",
        r".*\.\w+",
        r".*[^\x00-\x7f]",
    ):
        assert any(re.fullmatch(shape, name) for name in made), shape
    assert len(set(made)) > 2900 and not any(map(reserved, made))


def test_a_look_alike_shares_half_of_the_name() -> None:
    made = [look_alike(random.Random(seed), "GreenMind") for seed in range(20)]

    assert all(name != "GreenMind" and (name.startswith("Gree") or name.endswith("nMind")) for name in made)


def test_a_reply_says_your_where_the_question_says_my() -> None:
    assert second_person("improve my accent") == "improve your accent"
    assert second_person("remember what I read") == "remember what you read"
    assert Thing("tie my shoes", True, None).answered["g"] == "tying your shoes"


@pytest.mark.parametrize(
    ("task", "made"),
    [
        ("bake cookies", "baking cookies"),
        ("run a marathon", "running a marathon"),
        ("free up disk space", "freeing up disk space"),
        ("lie down", "lying down"),
        ("be more patient", "being more patient"),
    ],
)
def test_a_task_becomes_a_gerund(task: str, made: str) -> None:
    assert gerund(task) == made
