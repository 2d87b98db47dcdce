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
from matplotlib.ticker import MaxNLocator

from workers.experiments.paper.claims import FigureOf, Points, Row
from workers.experiments.paper.statistics import fit

WIDTH, HEIGHT = 7.2, 3.6  # inches
PANELS_ABREAST, PANEL_HEIGHT = 3, 2.2
LEGEND_COLUMNS = 3
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
        lay_out = _panels if figure.panels else _curves
        return _svg(lay_out(figure, found)) if found else None


def curves(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """By name, the series that have a number for more than one place on the axis."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.series.replace("_", "-"), []).append(row)
    return {name: points for name, points in found.items() if len(points) > 1}


def _curves(figure: FigureOf, found: Mapping[str, Sequence[Row]]) -> Canvas:
    canvas = Canvas(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = canvas.subplots()
    for (name, points), look in zip(found.items(), cycle(LOOKS)):
        _draw_curve(axes, name, points, look)
    _label(axes, figure)
    axes.set_ylabel(figure.unit)
    canvas.legend(loc="outside upper left", ncols=LEGEND_COLUMNS, fontsize="small")
    return canvas


def _panels(figure: FigureOf, found: Mapping[str, Sequence[Row]]) -> Canvas:
    rows = -(-len(found) // PANELS_ABREAST)
    canvas = Canvas(figsize=(WIDTH, rows * PANEL_HEIGHT), layout="constrained")
    grid = canvas.subplots(rows, PANELS_ABREAST, squeeze=False).ravel()
    for axes, (name, points) in zip(grid, found.items(), strict=False):
        _draw_curve(axes, name, points, LOOKS[0])
        axes.set_title(name, fontsize="small")
        _label(axes, figure)
    return canvas


def _label(axes: Any, figure: FigureOf) -> None:
    axes.set_xlabel(figure.x_label)
    if figure.log_x:
        axes.set_xscale("log", base=2)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _scatter(panels: Mapping[str, Points]) -> Canvas:
    canvas = Canvas(figsize=(WIDTH, HEIGHT), layout="constrained")
    row = canvas.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    for axes, (name, (x, y)), colour in zip(row, panels.items(), COLOURS, strict=False):
        line = fit(x, y)
        ends = np.array([x.min(), x.max()])
        axes.scatter(x, y, s=6, alpha=0.5, color=colour, linewidths=0)
        axes.plot(ends, y.mean() + line.slope * (ends - x.mean()), color=INK, linewidth=1)
        axes.set_title(f"{name}: slope {line.slope:.2f}, R² {line.r_squared:.2f}", fontsize="small")
        axes.set_xlabel("normalised reward, nats")
    row[0].set_ylabel("utility, nats")
    return canvas


def _draw_curve(axes: Any, name: str, points: Sequence[Row], look: tuple[str, str, str]) -> None:
    colour, mark, dash = look
    places = [row.place for row in points]
    low, high = ([getattr(row.measured, end) for row in points] for end in ("low", "high"))
    axes.plot(places, [row.measured.value for row in points], color=colour, marker=mark, linestyle=dash, label=name)
    axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)


def _svg(canvas: Canvas) -> str:
    """The <svg> element alone, its stand-ins replaced by the page's colours."""
    written = StringIO()
    canvas.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    picture = written.getvalue()
    picture = picture[picture.index("<svg") :].replace(INK, "currentColor")
    for stand_in, colour in COLOURS.items():
        picture = picture.replace(stand_in, colour)
    return picture
