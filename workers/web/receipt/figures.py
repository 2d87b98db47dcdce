"""The page's small parts: bars, the number line of a draw, numbers, names and the frame of a section."""

from collections.abc import Sequence
from datetime import UTC, datetime

from schemas.receipt import PartyReceipt

COLOURS = 6  # classes p0 to p5 of the style sheet
LEAST_LABELLED = 0.035  # of the line: a number fits in


def bar(chance: float, colour: str, size: str = "") -> str:
    """A chance as a bar; its number stands beside it, so it is hidden from screen readers."""
    return (
        f'<svg class="bar {size}" aria-hidden="true"><rect class="track" width="100%" height="100%" rx="2"/>'
        f'<rect class="{colour}" width="{chance * 100:.4f}%" height="100%" rx="2"/></svg>'
    )


def number_line(weights: Sequence[int], chosen: int, u: float) -> str:
    """The candidates' stretches of [0, 1), and the point u on it."""
    total, reached, parts = sum(weights), 0, []
    for index, weight in enumerate(weights):
        parts.append(_stretch(index, reached / total, weight / total, index == chosen))
        reached += weight
    label = f"Number line from 0 to 1: u = {u:.6f} lies on the stretch of candidate {chosen}"
    at = f"{u * 100:.4f}%"
    anchor = "start" if u < 0.08 else "end" if u > 0.92 else "middle"
    return (
        f'<svg class="line" role="img" aria-label="{label}">{"".join(parts)}'
        f'<line class="point" x1="{at}" x2="{at}" y1="14" y2="50"/><circle class="dot" cx="{at}" cy="14" r="4.5"/>'
        f'<text class="u" x="{at}" y="5" style="text-anchor:{anchor}">u</text>'
        '<text x="0" y="67" style="text-anchor:start">0</text>'
        '<text x="100%" y="67" style="text-anchor:end">1</text></svg>'
    )


def _stretch(index: int, begin: float, length: float, chosen: bool) -> str:
    share = (
        f'<rect class="share{" chosen" if chosen else ""}" x="{begin * 100:.4f}%" y="22" width="{length * 100:.4f}%" '
        'height="28"/>'
    )
    if length < LEAST_LABELLED:
        return share
    middle = (begin + length / 2) * 100
    return f'{share}<text class="{"at" if chosen else ""}" x="{middle:.4f}%" y="41">{index}</text>'


def percent(chance: float) -> str:
    """Two places; what they cannot tell from 0 or 1 is said to be near it."""
    if 0 < chance < 1e-4:
        return "&lt;0.01%"
    if 0.9999 < chance < 1:
        return "&gt;99.99%"
    return f"{chance:.2%}"


def grouped(number: float, digits: int = 0) -> str:
    """Thousands set apart."""
    return f"{number:,.{digits}f}".replace("-", "−")


def shown_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def colour(place: int) -> str:
    """The class of a party's colour."""
    return f"p{place % COLOURS}"


def party_name(party: PartyReceipt) -> str:
    """Its members' names."""
    return " + ".join(member.declaration.name for member in party.members)


def section(name: str, title: str, body: str) -> str:
    """A section under a heading; `title` and `body` are HTML."""
    return f'<section id="{name}" aria-labelledby="h-{name}"><h2 id="h-{name}">{title}</h2>{body}</section>'
