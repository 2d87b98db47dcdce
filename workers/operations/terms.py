"""The operator's notices of terms: what one says, which is in force when, and what may be published next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

from schemas.draw import DrawAlgorithm
from schemas.envelope import Event
from schemas.identity import derive
from schemas.terms import NamedModel, TermsPublished
from workers.errors import TesseraError
from workers.settings import Settings

SOURCE = "urn:tessera:terms"
NEWEST_DRAW: DrawAlgorithm = get_args(DrawAlgorithm)[-1]
CLOCKS_APART = timedelta(minutes=1)  # so far back `in_force_from` may lie: this clock against the broker's
SAYS_NOTHING = {"terms_id", "in_force_from", "note"}  # of the terms themselves


class TermsRefused(TesseraError):
    """Such a notice cannot be published; the message says why."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice and since when it is in force: never before the broker took it."""

    terms: TermsPublished
    since: datetime


def notice_of(event: Event[TermsPublished]) -> Notice:
    """The notice in an event of the topic."""
    return Notice(event.data, max(event.data.in_force_from, event.recorded_at or event.time))


def in_force(notices: Iterable[Notice], at: datetime) -> Notice | None:
    """The notice in force: that which came into force last; of two at once the one published later."""
    begun = [one for one in notices if one.since <= at]
    latest = max((one.since for one in begun), default=None)
    return next((one for one in reversed(begun) if one.since == latest), None)


def terms_of(
    settings: Settings, models: Sequence[NamedModel], note: str | None, in_force_from: datetime
) -> TermsPublished:
    """The notice that says what workers with these settings do."""
    names = ("tau_micros_per_nat", "currency", "payment_rule")
    bounds = ("candidates_least", "candidates_most", "max_tokens_least", "max_tokens_most")
    fields = {name: getattr(settings, name) for name in (*names, *bounds)}
    said = TermsPublished(
        terms_id="0" * 64, in_force_from=in_force_from, draw=NEWEST_DRAW, models=tuple(models), note=note, **fields
    )
    return said.model_copy(update={"terms_id": derive("terms", said.model_dump_json(exclude={"terms_id"}))})


def publication(said: TermsPublished, notices: Sequence[Notice], at: datetime) -> Event[TermsPublished] | None:
    """The event to publish, or None where these terms are in force from then on anyhow. `notices`: all so far.

    TermsRefused: it would be in force from a moment that has passed, or before another one that is announced.
    """
    if said.in_force_from < at - CLOCKS_APART:
        raise TermsRefused(
            f"terms cannot come into force at {said.in_force_from:%Y-%m-%d %H:%M:%S} UTC, which has passed: auctions "
            "were held since. Leave --in-force-from out for terms from now on"
        )
    later = [one for one in notices if one.since > said.in_force_from]
    if later:
        raise TermsRefused(
            f"other terms are announced for {later[-1].since:%Y-%m-%d %H:%M:%S} UTC and would end these. Publish terms "
            "from then on; `tessera terms show` lists all"
        )
    before = in_force(notices, said.in_force_from)
    if before is not None and _same(before.terms, said):
        return None
    return Event(
        data=said,
        value=said.encode(),
        id=derive("event", said.event_type, said.terms_id),
        source=SOURCE,
        subject=said.terms_id,
        time=at,
        correlation_id=said.terms_id,
    )


def _same(one: TermsPublished, other: TermsPublished) -> bool:
    return one.model_dump(exclude=SAYS_NOTHING) == other.model_dump(exclude=SAYS_NOTHING)
