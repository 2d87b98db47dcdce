"""Curves on two logarithmic axes as SVG text: legible on light and dark pages, no library needed."""

from collections.abc import Sequence
from html import escape
from math import floor, log10

from workers.experiments.figure import Curve, Plot

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 20, 50  # margins; the names of the curves stand at the right
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #57606a } .grid { stroke: #8c959f; stroke-opacity: .3 }
  .line { fill: none; stroke-width: 2 } .dot { stroke: none } .faint { stroke-dasharray: 3 4; stroke-width: 1.5 }
  .c0 { stroke: #0969da; fill: #0969da } .c1 { stroke: #bc4c00; fill: #bc4c00 } .line { fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 } .c0 { stroke: #4493f8; fill: #4493f8 } .c1 { stroke: #f0883e; fill: #f0883e }
    .line { fill: none }
  }
"""


def log_plot(plot: Plot) -> str:
    """The plot as an SVG document; all coordinates must be positive."""
    horizontal = _Axis([x for curve in plot.curves for x in curve.xs], LEFT, WIDTH - RIGHT)
    vertical = _Axis([y for curve in plot.curves for y in curve.ys], HEIGHT - BOTTOM, TOP)
    parts = [*_grid(horizontal, vertical), *_titles(plot)]
    for curve in plot.curves:
        parts += _curve(curve, horizontal, vertical)
    body = "\n".join(f"  {part}" for part in parts)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    return f"{head}\n  <title>{escape(plot.title)}</title>\n  <style>{STYLE}  </style>\n{body}\n</svg>\n"


class _Axis:
    """A logarithmic scale between two places of the picture: from a power of ten to the largest value."""

    def __init__(self, values: Sequence[float], begin: int, end: int) -> None:
        self._low = floor(log10(min(values)))
        self._high = max(log10(max(values)), self._low + 1)
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        """The place of a value, pixels."""
        share = (log10(value) - self._low) / (self._high - self._low)
        return round(self._begin + share * (self._end - self._begin), 1)

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self._low, floor(self._high) + 1)]


def _grid(horizontal: _Axis, vertical: _Axis) -> list[str]:
    parts = []
    for tick in horizontal.ticks:
        x = horizontal.at(tick)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:,g}</text>')
    for tick in vertical.ticks:
        y = vertical.at(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    return parts


def _titles(plot: Plot) -> list[str]:
    middle_x, middle_y = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    turned = f'transform="rotate(-90 14 {middle_y})"'
    return [
        f'<text x="{middle_x}" y="{HEIGHT - 10}" text-anchor="middle">{escape(plot.x_label)}</text>',
        f'<text x="14" y="{middle_y}" text-anchor="middle" {turned}>{escape(plot.y_label)}</text>',
    ]


def _curve(curve: Curve, horizontal: _Axis, vertical: _Axis) -> list[str]:
    """A line with its name at the right end; dots and faint lines go without one."""
    places = [(horizontal.at(x), vertical.at(y)) for x, y in zip(curve.xs, curve.ys, strict=True)]
    if curve.look == "dots":
        return [f'<circle class="dot c{curve.colour}" cx="{x}" cy="{y}" r="4"/>' for x, y in places]
    points = " ".join(f"{x},{y}" for x, y in places)
    if curve.look == "faint":
        return [f'<polyline class="line faint c{curve.colour}" points="{points}"/>']
    x, y = places[-1]
    named = f'<text x="{x + 10}" y="{y + 4}">{escape(curve.name)}</text>'
    return [f'<polyline class="line c{curve.colour}" points="{points}"/>', named]
