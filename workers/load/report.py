"""What a load test found: rates, outcomes and exact percentiles of all samples, none of them left out."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workers.load.open_loop import UNANSWERED, Trip
from workers.load.traffic import ArrivalKind, Mix

RANKS: Final = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0)
CURVE_POINTS: Final = 200


@dataclass(frozen=True)
class Offer:
    """What was to be sent. Rates are per second."""

    rate_hz: float
    duration_s: float
    mix: Mix
    seed: int


@dataclass(frozen=True)
class KindResult:
    """What became of one kind of arrival.

    Milliseconds by percentile: the smallest time that so many of a hundred arrivals do not exceed. None: so many were
    not answered at all, they count as the slowest.
    """

    kind: ArrivalKind
    arrivals: int
    outcomes: Mapping[str, int]
    from_due_ms: Mapping[str, float | None]
    from_sent_ms: Mapping[str, float | None]


@dataclass(frozen=True)
class LoadReport:
    """The whole report. `curve`: of queries, shares of 1 with the milliseconds that they do not exceed."""

    offer: Offer
    arrivals: int
    sent_hz: float
    answered_hz: float
    send_late_ms: Mapping[str, float | None]
    kinds: tuple[KindResult, ...]
    curve: tuple[tuple[float, float], ...]
    unanswered: int
    not_taken: int
    first_error: str


def report(offer: Offer, trips: Sequence[Trip]) -> LoadReport:
    """What the trips say. ValueError: there are none."""
    if not trips:
        raise ValueError("nothing was sent")
    queries = [trip for trip in trips if trip.arrival.kind is ArrivalKind.QUERY]
    errors = [trip.error for trip in trips if trip.error]
    return LoadReport(
        offer=offer,
        arrivals=len(trips),
        sent_hz=_rate(trip.sent_s for trip in trips),
        answered_hz=_rate(trip.answered_s for trip in trips),
        send_late_ms=percentiles([_ms(trip.sent_s, trip.arrival.due_s) for trip in trips]),
        kinds=tuple(_of_kind(kind, trips) for kind in ArrivalKind if any(trip.arrival.kind is kind for trip in trips)),
        curve=_curve(sorted(_from_due(trip) for trip in queries)),
        unanswered=sum(trip.outcome == UNANSWERED for trip in trips),
        not_taken=len(errors),
        first_error=errors[0] if errors else "",
    )


def percentiles(samples: Iterable[float]) -> dict[str, float | None]:
    """By nearest rank, of all samples; what was not answered is infinite, and None here."""
    ordered = sorted(samples)
    return {f"p{rank:g}": _finite(_at(ordered, rank / 100)) for rank in RANKS} if ordered else {}


def _of_kind(kind: ArrivalKind, trips: Iterable[Trip]) -> KindResult:
    chosen = [trip for trip in trips if trip.arrival.kind is kind]
    return KindResult(
        kind=kind,
        arrivals=len(chosen),
        outcomes=dict(Counter(trip.outcome for trip in chosen).most_common()),
        from_due_ms=percentiles(map(_from_due, chosen)),
        from_sent_ms=percentiles(_ms(trip.answered_s, trip.sent_s or 0.0) for trip in chosen),
    )


def _from_due(trip: Trip) -> float:
    return _ms(trip.answered_s, trip.arrival.due_s)


def _ms(end_s: float | None, begin_s: float) -> float:
    return math.inf if end_s is None else round(1000 * (end_s - begin_s), 3)


def _rate(times_s: Iterable[float | None]) -> float:
    """Events per second from the beginning to the last of them."""
    known = [time_s for time_s in times_s if time_s is not None]
    return len(known) / max(known) if known else 0.0


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(round(share * len(ordered), 9)) - 1)]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _curve(ordered: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Points that lie evenly on an axis of 1 / (1 − share): the tail has as many as the middle."""
    steps = range(CURVE_POINTS) if ordered else ()
    shares = (1 - len(ordered) ** (-step / CURVE_POINTS) for step in steps)
    points = ((share, _at(ordered, share)) for share in shares)
    return tuple((share, value) for share, value in points if math.isfinite(value))
