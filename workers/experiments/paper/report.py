"""The evaluation as files: one page, and for each figure its rows as CSV and its picture as SVG."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import StringIO
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from workers.experiments.paper.catalogue import FIGURES
from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf, Row, SideBySide

SEPARATOR = ": "  # of row and column in the name of a series
COLUMNS = ("series", "candidates", "x", "value", "low", "high")


@dataclass(frozen=True, slots=True)
class Chapter:
    """One figure as it stands in the report."""

    figure: FigureOf
    rows: tuple[Row, ...]
    verdicts: tuple[ClaimVerdict, ...]
    svg: str | None  # None: there is nothing to draw
    replies: tuple[SideBySide, ...] = ()

    @property
    def stem(self) -> str:
        """The name of its files."""
        return "figure-" + self.figure.name.lower().replace(".", "").replace(" ", "-")

    @property
    def numbers(self) -> tuple[Row, ...]:
        """The rows that are no point of a curve and no cell of the grid."""
        names = [row.series for row in self.rows]
        return tuple(row for row in self.rows if names.count(row.series) == 1 and row.series not in self._cells)

    @property
    def grid(self) -> dict[str, dict[str, Row]]:
        """By row and column, where the figure has them in its series' names."""
        found: dict[str, dict[str, Row]] = {}
        for series, row in self._cells.items():
            name, column = series.split(SEPARATOR)
            found.setdefault(name, {})[column] = row
        return found

    @property
    def _cells(self) -> dict[str, Row]:
        return {row.series: row for row in self.rows if self.figure.grid and SEPARATOR in row.series}


def chapters(evaluation: Evaluation) -> Iterator[Chapter]:
    """Every figure of the paper, measured, judged and drawn. MissingProgram: matplotlib is not installed."""
    from workers.experiments.paper.drawing import draw

    for figure in FIGURES.values():
        rows = figure.run(evaluation)
        points = figure.points(evaluation) if figure.points else {}
        replies = figure.replies(evaluation) if figure.replies else ()
        yield Chapter(figure, rows, figure.judge(rows), draw(figure, rows, points), replies)


def write_report(folder: Path, found: Sequence[Chapter], configuration: Mapping[str, str]) -> Path:
    """The page's path; its rows and pictures lie beside it. OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for chapter in found:
        (folder / f"{chapter.stem}.csv").write_text(as_csv(chapter.rows), encoding="utf-8")
        if chapter.svg:
            (folder / f"{chapter.stem}.svg").write_text(chapter.svg, encoding="utf-8")
    page = folder / "index.html"
    page.write_text(as_html(found, configuration), encoding="utf-8")
    return page


def as_csv(rows: Sequence[Row]) -> str:
    """The rows at full precision, under COLUMNS."""
    written = StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        measured = row.measured
        table.writerow(
            (row.series, row.candidates, row.place, repr(measured.value), repr(measured.low), repr(measured.high))
        )
    return written.getvalue()


def as_html(found: Sequence[Chapter], configuration: Mapping[str, str]) -> str:
    """One page without script or network, in the receipts' style."""
    style = files("workers.web.receipt").joinpath("page.css").read_text(encoding="utf-8")
    own = files("workers.experiments.paper").joinpath("report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(own).render(style=style, chapters=found, configuration=configuration)
