"""A figure's rows and what they say about a claim of the paper."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from workers.experiments.paper.market import Auctions
from workers.experiments.paper.statistics import Interval
from workers.mechanism.allocation import Floats

Points: TypeAlias = tuple[Floats, Floats]  # x and y, of equal shape

#: Numbers of candidates at which everything is measured.
SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The auctions of both proposals, on the same instances and seeds; context-aware ones with other bidders too."""

    context_aware: Auctions
    reference: Auctions
    crowds: Mapping[int, Auctions] = field(default_factory=dict)  # by number of advertisers N, of fewer seeds
    stuffed: Auctions | None = None  # as many seeds, the first advertiser's description stuffed

    @property
    def by_proposal(self) -> dict[str, Auctions]:
        """Under the names that rows carry."""
        return {"context_aware": self.context_aware, "reference": self.reference}

    @property
    def sizes(self) -> tuple[int, ...]:
        """Those of SIZES that were drawn."""
        return tuple(size for size in SIZES if size <= self.context_aware.log_q.shape[2])


@dataclass(frozen=True, slots=True)
class Row:
    """One number of a figure: what it is of, with how many candidates, its interval; `x` where M is not the axis."""

    series: str
    candidates: int
    measured: Interval
    x: float | None = None

    @property
    def place(self) -> float:
        """Where it stands on the horizontal axis."""
        return self.candidates if self.x is None else self.x


@dataclass(frozen=True, slots=True)
class ClaimVerdict:
    """One sentence of the paper against the numbers. Several verdicts stand uncorrected beside one another."""

    claim: str  # N5 to N12, or one that goes beyond the paper
    says: str  # in our words
    holds: bool
    measured: str  # the numbers it rests on, with their intervals


@dataclass(frozen=True, slots=True)
class SideBySide:
    """What each mechanism returned to one question with one seed."""

    question: str
    seed: int
    context_aware: str
    reference: str


def series(rows: Sequence[Row], name: str) -> dict[int, Interval]:
    """The numbers of one series by M. KeyError: there is no such series."""
    found = {row.candidates: row.measured for row in rows if row.series == name}
    if not found:
        raise KeyError(name)
    return found


def only(rows: Sequence[Row], name: str) -> Interval:
    """The one number of a series. ValueError: it has several."""
    (found,) = series(rows, name).values()
    return found


@dataclass(frozen=True, slots=True)
class FigureOf:
    """One figure or table of the paper: `run` measures, `judge` reads the rows alone."""

    name: str  # as in the paper: 1a
    title: str
    unit: str  # of the vertical axis
    about: str | None  # what the paper claims: the docstring of the figure's file
    run: Callable[[Evaluation], tuple[Row, ...]]
    judge: Callable[[Sequence[Row]], tuple[ClaimVerdict, ...]]
    points: Callable[[Evaluation], Mapping[str, Points]] | None = None  # what a scatter plot shows, by panel
    replies: Callable[[Evaluation], tuple[SideBySide, ...]] | None = None  # texts that the report prints
    x_label: str = "candidates M"
    log_x: bool = False
    grid: bool = False  # rows named "row: column" stand in one table
    panels: bool = False  # each curve has axes of its own: their units differ

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """`about` without its line breaks and marks of code."""
        return tuple(" ".join(part.split()) for part in (self.about or "").replace("`", "").split("\n\n"))


def above_zero(claim: str, says: str, measured: Interval, unit: str = "nats") -> ClaimVerdict:
    """Holds where the whole interval is above zero."""
    return ClaimVerdict(claim, says, measured.low > 0, f"{measured} {unit}".strip())


def below_zero(claim: str, says: str, measured: Interval, unit: str = "nats") -> ClaimVerdict:
    """Holds where the whole interval is below zero."""
    return ClaimVerdict(claim, says, measured.high < 0, f"{measured} {unit}".strip())
