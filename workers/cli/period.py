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


begin = click.option("--from", "begin", type=MomentOption(), metavar="TIME|DAY", help="The first moment of the period.")
end = click.option("--to", "end", type=MomentOption(), metavar="TIME|DAY", help="The first moment behind the period.")
