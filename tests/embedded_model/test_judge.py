"""What the evaluation counts: it finds every kind of fault and none in the corpus itself."""

import random

import pytest

from infra.embedded_model.aims import AIMS, REPLIES, demo_cases, unseen_cases
from infra.embedded_model.held_out import DEMO
from infra.embedded_model.judge import Verdict, judge
from infra.embedded_model.questions import question
from infra.embedded_model.replies import Mention, reply
from infra.embedded_model.things import Thing
from infra.embedded_model.turns import Ad, context_prompt, random_ads
from schemas.query import QuerySubmitted
from workers.engines.prompts import PAPER

ADS = (Ad("OvenNest", "selling baking ingredients"), Ad("Crumb.io!", "a platform for kitchen tools"))
COOKIES = Thing("bake cookies", True, "cookies")
TURN = context_prompt(list(ADS), "How do I bake cookies?")
GOOD = "Here is how to bake cookies. First, preheat the oven. I can recommend OvenNest. You could also try Crumb.io!."


def verdict(text: str, about: Thing = COOKIES) -> Verdict:
    return judge(text, about, TURN, ADS)


def test_a_good_reply_has_no_fault() -> None:
    found = verdict(GOOD)

    assert (found.counted, found.on_topic, found.spoken, found.repeated) == (2, 2, 4, 0)
    assert found.named == (True, True) and found.unknown == () and found.strange_names == ()


@pytest.mark.parametrize("brand", ["OvenNet", "TidyLeaf", "Oven", "BasterBo Tools", "ovennest"])
def test_a_name_that_the_turn_does_not_give_is_strange(brand: str) -> None:
    found = verdict(f"Preheat the oven. I can recommend {brand}.")

    assert found.strange_names and found.names_a_brand and not any(found.named)


def test_an_unknown_word_is_counted_once_for_each_time() -> None:
    assert verdict("Preheat the ovven. Take the buttery out.").unknown == ("ovven", "buttery")


@pytest.mark.parametrize(
    "sentence",
    [
        "Let the dough rise in a warm place.",  # a tip of another subject
        "Here is how to bake a cake.",  # another task
        "Preheat the oven and the tin.",  # no sentence of the corpus
        "Read about this from two or three sources.",  # says nothing about cookies
    ],
)
def test_a_sentence_that_does_not_belong_to_the_question_is_off_topic(sentence: str) -> None:
    found = verdict(f"Preheat the oven. {sentence}")

    assert (found.counted, found.on_topic) == (2, 1)


def test_a_sentence_said_again_behind_another_link_is_a_repetition() -> None:
    assert verdict("First, preheat the oven. Finally, preheat the oven.").repeated == 1


def test_general_advice_counts_only_where_the_reply_names_the_noun() -> None:
    about = Thing("a telescope", False, None)
    advice = "Read about this from two or three sources."

    assert judge(f"I know little about a telescope, but here is how to start. {advice}", about, "").on_topic == 2
    assert judge(advice, about, "").on_topic == 0
    assert judge(f"I know little about a teleskope, but here is how to start. {advice}", about, "").on_topic == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_corpus_has_no_fault(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(150):
        asked = question(rng)
        ads = random_ads(rng, asked.thing.subject, 2)
        mentions: list[Mention] = [(ad, 0.3) for ad in ads]
        turn = context_prompt(ads, asked.text)
        text = reply(rng, asked, mentions)
        found = judge(text, asked.thing, turn + " ".join(asked.thing.answered.values()), ads)

        assert (found.on_topic, found.repeated, found.unknown) == (found.counted, 0, ()), (turn, text, found)
        assert found.named == (True, True) and found.strange_names == (), (turn, text, found)


def test_the_cases_are_the_demos_queries_with_the_demos_prompts() -> None:
    context, reference = demo_cases()
    queries = [QuerySubmitted.decode(line) for line in DEMO.read_bytes().splitlines()]

    assert [case.turn for case in context] == [
        PAPER.context_aware_turn(query.text, query.advertisers) for query in queries
    ]
    assert [case.turn for case in reference] == [query.text for query in queries]
    assert len(context) == len(reference) == len(unseen_cases()) == 50 and REPLIES == 20


def test_the_aims_are_those_that_were_set() -> None:
    assert {aim.limit for aim in AIMS if not aim.at_least} == {0.005, 0.001, 0.01, 0.02}
    assert {aim.limit for aim in AIMS if aim.at_least} == {0.95, 0.8, 0.6}
