"""Times in text: one reader of RFC 3339 for all that strangers write, in values, headers, lines and options."""

import re
from datetime import UTC, datetime, timedelta

_FORM = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,30}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
LEAP = 60  # the second that some months of UTC have more
EXPECTED = "as in 2026-11-24T08:00:00Z"


def read_moment(text: str) -> datetime:
    """The moment in UTC; digits beyond microseconds are cut, a leap second is the one after it.

    ValueError, without the text: it is no time as in RFC 3339 with its offset, or has no place in the calendar.
    """
    if (found := _FORM.fullmatch(text)) is None:
        raise ValueError(f"not a time as in RFC 3339 with its offset from UTC, {EXPECTED}")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    microsecond = int((found[7] or "").ljust(6, "0")[:6])
    try:
        last = datetime(year, month, day, hour, minute, min(second, LEAP - 1), microsecond, tzinfo=UTC)
        moment = last - _offset(found[8] or "+", int(found[9] or 0), int(found[10] or 0))
        return moment if second < LEAP else _after_leap_second(moment, second)
    except OverflowError:
        raise ValueError("the time lies outside the years 1 to 9999 of UTC") from None


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC; ValueError for one that has no place in the calendar there."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the years 1 to 9999 of UTC") from None


def _offset(sign: str, hours: int, minutes: int) -> timedelta:
    if hours > 23 or minutes > 59:
        raise ValueError("the offset from UTC is none")
    offset = timedelta(hours=hours, minutes=minutes)
    return offset if sign == "+" else -offset


def _after_leap_second(last: datetime, second: int) -> datetime:
    """The first second of the month; ValueError where `last` is not the last of one in UTC."""
    after = last.replace(microsecond=0) + timedelta(seconds=1)
    if second > LEAP or (after.day, after.hour, after.minute, after.second) != (1, 0, 0, 0):
        raise ValueError("no minute of UTC has that second")
    return after
