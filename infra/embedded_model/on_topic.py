"""Whether replies keep to the topic of the question and to the grammar of the corpus."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import astuple

import numpy as np

from .grammar import OUTSIDE, judge
from .held_out import FREE_QUESTIONS, OFF_TOPIC
from .names import brand_name
from .questions import (
    HELD_NOUNS,
    HELD_TASKS,
    TRAINING_NOUNS,
    noun_question,
    reserved_noun_question,
    strip_article,
    task_question,
)
from .sampler import Sampler
from .tables import cell, head, row
from .topics import TOPICS
from .turns import Ad, advertiser_prompt, context_prompt, description

TITLES = (
    "questions",
    "number",
    "a tip of the topic",
    "and none of another",
    "well-formed",
    "a tip twice",
    "names a brand",
)
REPLIES = 4
#: Words too common to tell a topic.
COMMON = frozenset("a an the my in of for to with getting".split())

#: (topic, question)
Case = tuple[str, str]


def question_groups(rng: random.Random) -> dict[str, list[Case]]:
    """The questions of each row, in the order in which they are drawn."""

    def made(count: int, make: Callable[..., str], **held: bool) -> list[Case]:
        topics = [topic for topic in TOPICS for _ in range(count)]
        return [(topic, make(rng, TOPICS[topic], **held)) for topic in topics]

    return {
        "trained task, trained frame": made(6, task_question),
        "trained task, held-out frame": made(6, task_question, held_frame=True),
        "held-out task, trained frame": made(6, task_question, held_task=True),
        "held-out task, held-out frame": made(12, task_question, held_task=True, held_frame=True),
        "trained noun, held-out frame": made(6, noun_question, held_frame=True),
        "held-out noun, held-out frame": made(6, noun_question, held_noun=True, held_frame=True),
        "free wording": [(topic, query) for topic, queries in FREE_QUESTIONS.items() for query in queries],
        "outside all topics": [(OUTSIDE, query) for query in OFF_TOPIC],
    }


def with_brands(rng: random.Random, cases: list[Case]) -> dict[str, list[tuple[str, str, str]]]:
    """The same questions for one and for two advertisers: (topic, question, turn)."""
    drawn = [
        (topic, query, [Ad(brand_name(rng, True), description(rng, topic)) for _ in range(2)]) for topic, query in cases
    ]
    return {
        "the same, advertiser": [(topic, query, advertiser_prompt(ads[0], query)) for topic, query, ads in drawn],
        "the same, context-aware": [(topic, query, context_prompt(ads, query)) for topic, query, ads in drawn],
    }


def report(sampler: Sampler, label: str, cases: list[tuple[str, str, str]], verbose: bool) -> None:
    """Print one row; also the questions that mostly missed if ``verbose``."""
    rows: list[tuple[bool, ...]] = []
    clusters: list[str] = []
    missed: list[str] = []
    for topic, query, turn in cases:
        verdicts = [judge(text, topic) for text in sampler.answers(turn, REPLIES)]
        rows.extend(astuple(verdict) for verdict in verdicts)
        clusters.extend([query] * REPLIES)
        missed.extend([query] * (2 * sum(verdict.on_topic for verdict in verdicts) < REPLIES))
    columns = np.array(rows).T
    print(row([label, len(cases), *(cell(column, clusters, 3) for column in columns)]), flush=True)
    if verbose:
        print("   missed:", missed)


def stem(word: str) -> str:
    """A word without its most common endings."""
    for ending in ("ning", "ing", "ies", "es", "s", "ed", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def content_stems(text: str) -> set[str]:
    """Stems of the words that may tell a topic."""
    return {stem(word) for word in re.findall(r"[a-z]+(?:-[a-z]+)*", text.lower()) if word not in COMMON}


def training_stems(topic: str) -> set[str]:
    """Stems of all words that training uses for ``topic``."""
    content = TOPICS[topic]
    first, more = TRAINING_NOUNS[topic]
    return content_stems(" ".join((*content.tasks[:-HELD_TASKS], *first, *more, *content.tips, *content.goods)))


def split_held_out(cases: list[Case]) -> dict[str, list[Case]]:
    """Questions with a held-out noun: those without a word that training uses for the topic, and the others."""
    new: list[Case] = []
    known: list[Case] = []
    for topic, query in cases:
        (noun,) = (noun for noun in TOPICS[topic].nouns[-HELD_NOUNS:] if strip_article(noun) in query)
        (known if content_stems(noun) & training_stems(topic) else new).append((topic, query))
    return {"of these, no word known on the topic": new, "of these, a word known on the topic": known}


def added_groups(groups: dict[str, list[Case]], seed: int) -> dict[str, list[Case]]:
    """Rows about nouns that were added later: nouns of ``nouns.py`` kept from training, held-out nouns split."""
    rng = random.Random(seed)
    reserved = [(topic, reserved_noun_question(rng, topic)) for topic in TOPICS for _ in range(12)]
    return {"reserved noun of nouns.py, held-out frame": reserved} | split_held_out(
        groups["held-out noun, held-out frame"]
    )


def topics(sampler: Sampler, seed: int, verbose: bool) -> None:
    """Print the table of topics."""
    rng = random.Random(seed)
    groups = question_groups(rng)
    branded = with_brands(rng, groups["held-out task, held-out frame"])
    runs = plain_turns(groups) | branded | plain_turns(added_groups(groups, seed))
    print(head(TITLES))
    for label, cases in runs.items():
        report(sampler, label, cases, verbose)


def plain_turns(groups: dict[str, list[Case]]) -> dict[str, list[tuple[str, str, str]]]:
    """Groups of (topic, question, turn) where the turn is the question."""
    return {label: [(topic, query, query) for topic, query in cases] for label, cases in groups.items()}
