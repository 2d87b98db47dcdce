"""The sentences of the corpus that the shipped weights learnt, so that the evaluation can judge them too.

Each tip has the subjects of the demo's queries that it suits, as we read it: `earlier_tips.txt`.  To be deleted
together with these weights.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .subjects import split

EARLIER_OPENERS = split("Happy to help.|Good question.|Here are some ideas.|Sure.")
EARLIER_MENTIONS = split(
    "You could also try {b}.|Many people like {b}.|Take a look at {b}.|It may help to try {b}.|I can recommend {b}."
    "|{b} can help you with this.|For this, {b} is worth a look.|Why not try {b}?|You could try {b}, {d}."
    "|Many people use {b}, {d}.|A good choice is {b}, {d}.|Have a look at {b}, {d}.|Visit {b} today."
    "|{b} has a good offer now.|{b} makes this easy."
)
#: What it said about things of no subject: for the words, not as an answer.
EARLIER_POLITE = (
    "I know little about that, but here is some general advice.",
    "That is outside what I know well, sorry.",
    "Sorry, I am no expert on this.",
    "Start with a small step and see how it goes. Ask someone who has done it before. Take your time and stay patient.",
    "Read about it from a few sources. Make a simple plan first. Write down what matters most to you.",
    "Look for a local group that can help. Try it once before you decide. Give yourself time to learn.",
    "Compare a few options before you choose one. Get good tools for the job. Look for a short course near you.",
)


@cache
def _tips() -> dict[str, tuple[str, ...]]:
    made: dict[str, tuple[str, ...]] = {}
    for line in (Path(__file__).parent / "earlier_tips.txt").read_text(encoding="utf-8").splitlines():
        names, _, tips = line.partition(": ")
        made |= {name: (*made.get(name, ()), *split(tips)) for name in names.split(", ")}
    return made


def earlier_tips(subject: str) -> tuple[str, ...]:
    """The tips that suit `subject`; none where the demo has no query about it."""
    return _tips().get(subject, ())


EARLIER_TEXTS = (
    *EARLIER_MENTIONS,
    *EARLIER_OPENERS,
    *EARLIER_POLITE,
    *(tip for tips in _tips().values() for tip in tips),
)
