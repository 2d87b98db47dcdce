"""The demo's queries answered many times over and judged: what the bundled model has to reach before it ships."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from .held_out import UNSEEN, demo, words
from .judge import Verdict, judge
from .phrases import NOUN_FRAMES
from .sampler import Files, Sampler
from .subjects import subjects
from .tables import head, row
from .things import Thing
from .turns import Ad, context_prompt
from .wording import gerund

REPLIES = 20
LONGEST = 96  # tokens, as in the demo
EXAMPLES = 12


class Case(NamedTuple):
    """A question, what it is about, the user turn, the advertisers that the turn gives."""

    about: Thing
    turn: str
    ads: tuple[Ad, ...] = ()


class Aim(NamedTuple):
    """A figure and its limit; `at_least` or at most."""

    name: str
    limit: float
    at_least: bool


AIMS = (
    Aim("replies with a name that nobody gave", 0.005, False),
    Aim("words outside the corpus and the given names", 0.001, False),
    Aim("sentences on topic", 0.95, True),
    Aim("sentences on topic, nouns never seen", 0.8, True),
    Aim("repeated sentences", 0.01, False),
    Aim("replies that name the advertiser, lowest of all", 0.6, True),
    Aim("replies that name the advertiser, mean", 0.6, True),
    Aim("reference replies with a brand", 0.02, False),
)


@dataclass(slots=True)
class Report:
    """The figures, whether each reaches its aim, and replies that missed."""

    figures: dict[str, float]
    met: dict[str, bool]
    replies: dict[str, int]
    seed: int
    misses: dict[str, list[str]] = field(default_factory=dict)


def demo_cases() -> tuple[list[Case], list[Case]]:
    """The demo's queries as context-aware and as reference turns."""
    context, reference = [], []
    for query in demo():
        about = demo_thing(query["text"])
        ads = tuple(Ad(one["name"], one["description"]) for one in query["advertisers"])
        context.append(Case(about, context_prompt(list(ads), query["text"]), ads))
        reference.append(Case(about, query["text"]))
    return context, reference


def demo_thing(query: str) -> Thing:
    """The task that one of the demo's queries asks about; StopIteration where it is none of a subject's held tasks."""
    plain = words(query)
    held = (Thing(task, True, one.name) for one in subjects().values() for task in one.held)
    return next(made for made in held if words(made.text) in plain or words(gerund(made.text)) in plain)


def unseen_cases() -> list[Case]:
    """Questions about nouns that training never sees, in the frames that it does see, one after the other."""
    things = [Thing(noun, False, None) for noun in UNSEEN]
    frames = [frame for frame in NOUN_FRAMES["about"] if "{n}" in frame]
    return [Case(one, frames[place % len(frames)].format(**one.slots)) for place, one in enumerate(things)]


def answer(sampler: Sampler, case: Case, replies: int) -> list[tuple[str, Verdict]]:
    """Sampled replies and what they do."""
    texts = sampler.answers(case.turn, replies)
    return [(text, judge(text, case.about, case.turn, case.ads)) for text in texts]


def evaluate_aims(files: Files, seed: int, replies: int = REPLIES) -> Report:
    """Ask every question `replies` times, at temperature 1 as the demo does."""
    sampler = Sampler(files, seed, longest=LONGEST)
    context_cases, reference_cases = demo_cases()
    context = [answer(sampler, case, replies) for case in context_cases]
    reference = [answer(sampler, case, replies) for case in reference_cases]
    unseen = [answer(sampler, case, replies) for case in unseen_cases()]
    figures = _figures(context, reference, unseen)
    met = {aim.name: (figures[aim.name] >= aim.limit) == aim.at_least or figures[aim.name] == aim.limit for aim in AIMS}
    counts = {"context-aware": _count(context), "reference": _count(reference), "nouns never seen": _count(unseen)}
    return Report(figures, met, counts, seed, _misses([*context, *reference]))


Judged = list[tuple[str, Verdict]]


def _count(answers: Sequence[Judged]) -> int:
    return sum(map(len, answers))


def _figures(context: list[Judged], reference: list[Judged], unseen: list[Judged]) -> dict[str, float]:
    demo_replies = [verdict for judged in (*context, *reference) for _, verdict in judged]
    unseen_replies = [verdict for judged in unseen for _, verdict in judged]
    named = [_named(judged) for judged in context]
    rates = [rate for pair in named for rate in pair]
    figures = (
        _mean(bool(one.strange_names) for one in demo_replies),
        _ratio(sum(len(one.unknown) for one in demo_replies), sum(one.words for one in demo_replies)),
        _ratio(sum(one.on_topic for one in demo_replies), sum(one.counted for one in demo_replies)),
        _ratio(sum(one.on_topic for one in unseen_replies), sum(one.counted for one in unseen_replies)),
        _ratio(sum(one.repeated for one in demo_replies), sum(one.spoken for one in demo_replies)),
        min(rates),
        _mean(rates),
        _mean(verdict.names_a_brand for judged in reference for _, verdict in judged),
    )
    return dict(zip((aim.name for aim in AIMS), (round(figure, 5) for figure in figures), strict=True))


def _named(judged: Judged) -> list[float]:
    """Share of the replies that name each advertiser of the query."""
    return [_mean(verdict.named[place] for _, verdict in judged) for place in range(len(judged[0][1].named))]


def _ratio(part: int, whole: int) -> float:
    return part / max(1, whole)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / max(1, len(listed))


def _misses(answers: list[Judged]) -> dict[str, list[str]]:
    """The most frequent strange names and words, and some replies with a sentence off the topic."""
    verdicts = [pair for judged in answers for pair in judged]
    names = Counter(name for _, verdict in verdicts for name in verdict.strange_names)
    unknown = Counter(word for _, verdict in verdicts for word in verdict.unknown)
    off = [text for text, verdict in verdicts if verdict.on_topic < verdict.counted]
    return {
        "strange names": [name for name, _ in names.most_common(EXAMPLES)],
        "unknown words": [word for word, _ in unknown.most_common(EXAMPLES)],
        "off topic": off[:: max(1, len(off) // EXAMPLES)][:EXAMPLES],
    }


def print_aims(report: Report) -> None:
    """The table of the figures and their aims."""
    print(head(("figure", "measured", "aim", "met")))
    for aim in AIMS:
        bound = f"{'at least' if aim.at_least else 'at most'} {aim.limit:g}"
        print(row((aim.name, f"{report.figures[aim.name]:.4f}", bound, "yes" if report.met[aim.name] else "no")))
    for kind, texts in report.misses.items():
        print(f"{kind}: {'; '.join(texts)}")


def write_json(report: Report, path: Path) -> None:
    """All of the report."""
    path.write_text(json.dumps(asdict(report), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
