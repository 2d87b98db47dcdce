"""A figure's rows as an SVG picture, by matplotlib: the same rows give the same bytes.

Colours are names that the page defines, so that one picture serves light, dark and paper; lines differ by their marks
and dashes too.
"""

from collections.abc import Mapping, Sequence
from io import StringIO
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas

from workers.experiments.paper.claims import FigureOf, Points, Row
from workers.experiments.paper.statistics import fit

WIDTH, HEIGHT = 7.2, 3.6  # inches
INK = "#123456"  # stands for the page's colour of text
COLOURS = {f"#abcde{place}": f"var(--p{place})" for place in range(6)}  # stand for the page's six
LOOKS = tuple(zip(COLOURS, "os^Dvx", ("-", "--", "-.", ":", "-", "--"), strict=True))
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tessera",
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def draw(figure: FigureOf, rows: Sequence[Row], points: Mapping[str, Points]) -> str | None:
    """One <svg> element: a panel for each of the `points`, or else the curves of `rows`; None without both."""
    with mpl.rc_context(STYLE):
        if points:
            return _svg(_scatter(points))
        found = curves(rows)
        return _svg(_against_candidates(figure, found)) if found else None


def curves(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """By name, the series that have a number for more than one M."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.series.replace("_", "-"), []).append(row)
    return {name: points for name, points in found.items() if len(points) > 1}


def _against_candidates(figure: FigureOf, found: Mapping[str, Sequence[Row]]) -> Canvas:
    canvas = Canvas(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = canvas.subplots()
    for (name, points), (colour, mark, dash) in zip(found.items(), cycle(LOOKS)):
        _draw_curve(axes, name, points, colour, mark, dash)
    axes.set_xlabel("candidates M")
    axes.set_ylabel(figure.unit)
    axes.legend(fontsize="small")
    return canvas


def _scatter(panels: Mapping[str, Points]) -> Canvas:
    canvas = Canvas(figsize=(WIDTH, HEIGHT), layout="constrained")
    row = canvas.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    for axes, (name, (x, y)), colour in zip(row, panels.items(), COLOURS, strict=False):
        line = fit(x, y)
        ends = np.array([x.min(), x.max()])
        axes.scatter(x, y, s=4, alpha=0.35, color=colour, linewidths=0)
        axes.plot(ends, y.mean() + line.slope * (ends - x.mean()), color=INK, linewidth=1)
        axes.set_title(f"{name}: slope {line.slope:.2f}, R² {line.r_squared:.2f}", fontsize="small")
        axes.set_xlabel("normalised reward, nats")
    row[0].set_ylabel("utility, nats")
    return canvas


def _draw_curve(axes: Any, name: str, points: Sequence[Row], colour: str, mark: str, dash: str) -> None:
    sizes = [row.candidates for row in points]
    low, high = ([getattr(row.measured, end) for row in points] for end in ("low", "high"))
    axes.plot(sizes, [row.measured.value for row in points], color=colour, marker=mark, linestyle=dash, label=name)
    axes.fill_between(sizes, low, high, color=colour, alpha=0.15, linewidth=0)


def _svg(canvas: Canvas) -> str:
    """The <svg> element alone, its stand-ins replaced by the page's colours."""
    written = StringIO()
    canvas.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    picture = written.getvalue()
    picture = picture[picture.index("<svg") :].replace(INK, "currentColor")
    for stand_in, colour in COLOURS.items():
        picture = picture.replace(stand_in, colour)
    return picture
