"""`--from` and `--to`: the period that a command is about, from one moment on and before another."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click

from schemas.moments import read_moment
from schemas.record import Record
from schemas.topics import COMMITMENTS, TERMS
from workers.receipts.statement import Period

if TYPE_CHECKING:
    from workers.stream.kafka import KafkaBus

#: Read on both sides of a period: what becomes of a query within it is judged.
AROUND = timedelta(hours=1)
#: Few records, and needed whatever the period: what is in force or committed to in it was said before, and is revealed
#: after it.
WHOLE = (COMMITMENTS.name, TERMS.name)


def moment(text: str) -> datetime:
    """A time with its offset from UTC, or a day's midnight in UTC. ValueError: it is neither."""
    return datetime.combine(date.fromisoformat(text), time(), UTC) if len(text) == 10 else read_moment(text)


class MomentOption(click.ParamType[datetime, Any]):
    """A time with its offset from UTC, or a day, which begins at its midnight in UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return moment(value)
        except ValueError:
            self.fail(f"{value!r} is neither a day as in 2026-11-24 nor a time as in 2026-11-24T08:00:00Z", param, ctx)


@dataclass(frozen=True, slots=True)
class StoredInPeriod:
    """What the topics hold of a period and of an hour around it; without limits, all that they hold.

    `since`: read from there on, if that is earlier.
    """

    bus: "KafkaBus"
    limits: Period = field(default_factory=Period)
    since: datetime | None = None

    @property
    def read(self) -> Period:
        """The period with the hour around it."""
        begin = _moved(self.limits.begin, -AROUND)
        return Period(min(begin, self.since) if begin and self.since else begin, _moved(self.limits.end, AROUND))

    async def stored(self, topics: Sequence[str], key: bytes | None = None) -> AsyncGenerator[Record, None]:
        """As `Bus.stored`; the topics of WHOLE are read from end to end."""
        read = self.read
        async with aclosing(self.bus.stored_in(topics, read.begin, read.end, key, WHOLE)) as records:
            async for record in records:
                if record.topic in WHOLE or read.holds(record.time):
                    yield record


def _moved(at: datetime | None, by: timedelta) -> datetime | None:
    """None: no limit, or one beyond all calendars, which is the same."""
    try:
        return None if at is None else at + by
    except OverflowError:
        return None


def in_order(context: click.Context, parameter: click.Parameter, given: Any) -> Any:
    """Checked with whichever of the two comes last."""
    period = {**context.params, str(parameter.name): given}
    first, behind = period.get("begin"), period.get("end")
    if isinstance(first, datetime) and behind and behind <= first:
        raise click.UsageError(
            f"no moment is in the period from {first.isoformat()} to {behind.isoformat()}: --to, the first moment "
            "behind it, has to be later than --from"
        )
    return given


begin = click.option(
    "--from",
    "begin",
    type=MomentOption(),
    callback=in_order,
    metavar="TIME|DAY",
    help="The first moment of the period.",
)
end = click.option(
    "--to",
    "end",
    type=MomentOption(),
    callback=in_order,
    metavar="TIME|DAY",
    help="The first moment behind the period.",
)
