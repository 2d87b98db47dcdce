"""`--from` and `--to`: the period that a command is about, from one moment on and before another."""

from datetime import UTC, date, datetime, time
from typing import Any

import click

from schemas.moments import read_moment


class MomentOption(click.ParamType[datetime, Any]):
    """A time with its offset from UTC, or a day, which begins at its midnight in UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return datetime.combine(date.fromisoformat(value), time(), UTC) if len(value) == 10 else read_moment(value)
        except ValueError:
            self.fail(f"{value!r} is neither a day as in 2026-11-24 nor a time as in 2026-11-24T08:00:00Z", param, ctx)


def _in_order(context: click.Context, parameter: click.Parameter, given: datetime | None) -> datetime | None:
    """Checked with whichever of the two comes last."""
    period = {**context.params, str(parameter.name): given}
    first, behind = period.get("begin"), period.get("end")
    if first and behind and behind <= first:
        raise click.UsageError(
            f"no moment is in the period from {first.isoformat()} to {behind.isoformat()}: --to, the first moment "
            "behind it, has to be later than --from"
        )
    return given


begin = click.option(
    "--from",
    "begin",
    type=MomentOption(),
    callback=_in_order,
    metavar="TIME|DAY",
    help="The first moment of the period.",
)
end = click.option(
    "--to",
    "end",
    type=MomentOption(),
    callback=_in_order,
    metavar="TIME|DAY",
    help="The first moment behind the period.",
)
