"""What an experiment hands back: tables of numbers with the words that explain them, before any layout."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Cell: TypeAlias = str | int | float
Advance: TypeAlias = Callable[[], None]  # called once for each step that is done


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; columns are their names for machines with their headings for people, in order."""

    caption: str
    columns: Mapping[str, str]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.caption}: every row needs {len(self.columns)} cells")


@dataclass(frozen=True, slots=True)
class Curve:
    """Positive coordinates; curves of one colour belong together. Dots have no name in the picture."""

    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    colour: Literal[0, 1]
    look: Literal["line", "dots", "faint"]


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves on two logarithmic axes; the title is also what a reader who cannot see it is told."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One experiment's result: paragraphs say what was done, findings what came out, each in one sentence."""

    title: str
    paragraphs: tuple[str, ...]
    tables: tuple[Table, ...]
    findings: tuple[str, ...]
    plot: Plot | None = None
