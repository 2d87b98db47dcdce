"""Who may bid on a query, by rules that read no bid: neither what a nat is worth to anybody nor a reward's range."""

from collections.abc import Iterable
from datetime import datetime

from schemas.advertiser import AdvertiserProfile, Schedule
from schemas.query import QuerySubmitted
from schemas.reasons import AbstentionReason


def exclusion(
    profile: AdvertiserProfile, query: QuerySubmitted, at: datetime, currency: str
) -> AbstentionReason | None:
    """Why an advertiser may not bid; None where it may. `at`: when the broker took the query.

    Of several reasons the first of these counts.
    """
    category = query.category
    rules = (
        (AbstentionReason.NOT_APPROVED, profile.status != "approved"),
        (AbstentionReason.OTHER_CURRENCY, profile.currency != currency),
        (AbstentionReason.OUTSIDE_SCHEDULE, not is_open(profile.schedule, at)),
        (AbstentionReason.BLOCKED_CATEGORY, not set(profile.categories).isdisjoint(query.blocked_categories)),
        (AbstentionReason.BLOCKED_BY_ADVERTISER, category in profile.blocked_categories),
        (AbstentionReason.OTHER_CATEGORY, category and profile.categories and category not in profile.categories),
        (AbstentionReason.SENSITIVE_QUESTION, query.sensitive and not profile.accepts_sensitive),
    )
    return next((reason for reason, holds in rules if holds), None)


def is_open(schedule: Schedule, at: datetime) -> bool:
    """Whether the schedule holds the moment, which is in UTC: its start does, its end does not."""
    return (
        (schedule.starts_at is None or schedule.starts_at <= at)
        and (schedule.ends_at is None or at < schedule.ends_at)
        and (not schedule.weekdays or at.isoweekday() in schedule.weekdays)
        and (not schedule.hours or at.hour in schedule.hours)
    )


def has_rival(profile: AdvertiserProfile, present: Iterable[AdvertiserProfile]) -> bool:
    """Whether somebody who is present already is its rival; one of the two saying so is enough."""
    return any(other.advertiser_id in profile.rivals or profile.advertiser_id in other.rivals for other in present)
