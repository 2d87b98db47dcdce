"""`tessera load`: queries at a rate of their own, and how long each took."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from schemas.query import QuerySubmitted
from schemas.record import Outgoing
from workers.app.bus import bus_of
from workers.cli import load_view, options, render
from workers.cli.documents import require_writable, write_whole
from workers.cli.query_file import load_queries
from workers.cli.waiting import waiting
from workers.errors import SettingsError
from workers.load.open_loop import ANSWER_TOPICS, Trips, measure
from workers.load.report import LoadReport, Offer, report
from workers.load.traffic import MOST_ARRIVALS, Arrival, Mix, arrivals, record_of
from workers.pipeline import now
from workers.settings import Settings
from workers.web.load_report.page import page

Publish = Callable[[Outgoing], Awaitable[None]]


def _share(name: str, text: str) -> Callable[[Any], Any]:
    return click.option(name, type=click.FloatRange(0, 1), default=0.0, metavar="SHARE", help=text)


@click.command()
@click.option("--rate", "rate_hz", type=click.FloatRange(0.01, 100_000), default=5.0, show_default=True, metavar="HZ")
@click.option(
    "--duration", "duration_s", type=options.Seconds(1, 86_400), default=30.0, show_default=True, metavar="SECONDS"
)
@_share("--deadlines", "Of all records: queries that state a deadline.")
@click.option(
    "--deadline",
    "deadline_s",
    type=options.Seconds(0.001, 86_400),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="What those state.",
)
@_share("--duplicates", "Of all records: ids that were sent before.")
@_share("--poison", "Of all records: what is no query.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Fixes times and kinds.")
@click.option(
    "--queries",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What is asked, in turn: a file with one JSON object a line. [default: 50 bundled ones]",
)
@click.option(
    "--patience",
    "patience_s",
    type=options.Seconds(0, 3_600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for answers after the last record.",
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="The report as a page.")
@options.bootstrap_servers
@options.as_json
def load(
    rate_hz: float,
    duration_s: float,
    deadlines: float,
    deadline_s: float,
    duplicates: float,
    poison: float,
    seed: int,
    queries: Path | None,
    patience_s: float,
    html: Path | None,
    bootstrap_servers: str | None,
    as_json: bool,
) -> None:
    """Send queries at a rate, whatever becomes of them, and report how long each took.

    An open loop: arrivals are a Poisson process and wait for no answer, and a query's time begins when it was due, so
    a slow pipeline cannot hide its slowness by slowing its load. Percentiles are exact, of all records; what is not
    answered counts as the slowest.

    The queries are real: advertisers in them are billed on the topics. Do not send them to a cluster whose bills
    somebody pays. In Kafka this needs the rights of the gateway and of the auditor.

    Exit code 1: some records had no answer.

    \b
    Examples:
      tessera load --rate 20 --duration 60 --html load.html
      tessera load --rate 20 --poison 0.05 --duplicates 0.05 --deadlines 0.2 --deadline 5 --json
    """
    offer = Offer(rate_hz, duration_s, _mix(deadlines, duplicates, poison, deadline_s), seed)
    if rate_hz * duration_s > MOST_ARRIVALS:
        raise click.UsageError(f"{rate_hz * duration_s:,.0f} records; at most {MOST_ARRIVALS:,} can be sent")
    if html:
        require_writable(html)
    found = asyncio.run(_load(Settings.read(bootstrap_servers=bootstrap_servers), offer, queries, patience_s))
    if html:
        write_whole(html, page(found, load_view.picture(found)))
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        render.console().print(load_view.summary(found))
    if found.unanswered:
        raise SystemExit(1)


def _mix(deadlines: float, duplicates: float, poison: float, deadline_s: float) -> Mix:
    if deadlines + duplicates + poison > 1:
        raise click.UsageError("--deadlines, --duplicates and --poison are shares of all records: together at most 1")
    return Mix(deadlines, duplicates, poison, deadline_s)


async def _load(settings: Settings, offer: Offer, queries: Path | None, patience_s: float) -> LoadReport:
    plan = arrivals(offer.rate_hz, offer.duration_s, offer.mix, uuid.uuid4().hex[:8], offer.seed)
    if not plan:
        raise SettingsError("at this rate no query is due in this time: raise --rate or --duration")
    asked, bus = load_queries(queries), bus_of(settings)
    async with bus.publisher() as publish, bus.read(ANSWER_TOPICS) as records:
        trips = Trips(plan, asyncio.get_running_loop().time)
        with waiting(f"{len(plan):,} records in {offer.duration_s:g} s"):
            write = partial(_write, publish, asked, offer.mix)
            await measure(trips, write, aiter(records), patience_s)
    return report(offer, trips.all)


async def _write(publish: Publish, asked: Sequence[QuerySubmitted], mix: Mix, arrival: Arrival) -> None:
    await publish(record_of(arrival, asked, now(), mix))
