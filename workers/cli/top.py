"""`tessera top`: the pipeline as it runs, from its workers' metrics, in a terminal."""

import itertools
import json
import math
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from http.client import HTTPException

import click
from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from workers.cli import options, render
from workers.errors import SettingsError
from workers.ledger.amounts import money
from workers.operations.overview import Overview, Scrape

ANSWER_WITHIN_S = 5.0
PIPED_WIDTH = 120
MOST_BYTES = 32 * 1024 * 1024

#: The machine's proxy is for the world outside.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@click.command()
@click.option(
    "--metrics",
    "addresses",
    multiple=True,
    metavar="URL",
    default=["http://127.0.0.1:9464/metrics"],
    show_default=True,
    help="Of one worker; once for each. They are added up.",
)
@click.option("--every", "every_s", type=options.Seconds(0.2, 3_600), default=2.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="One look, over one interval, and end.")
@options.as_json
def top(addresses: Sequence[str], every_s: float, once: bool, as_json: bool) -> None:
    """Watch rates, latency, revenue and what is in flight, until Ctrl-C.

    Two looks at the workers' metrics, and what lies between them; nothing is asked of Kafka. A quantile of the latency
    is the upper end of its bucket, "+Inf" in JSON where that has none. Below the table stands what looks wrong. A
    worker that does not answer is left out and named; it is an error if none does at the first look.

    \b
    Examples:
      tessera top
      tessera top --metrics http://10.0.0.7:9464/metrics --metrics http://10.0.0.8:9464/metrics
      tessera top --once --json | jq .queries_hz
    """
    looks = _looks(addresses, every_s)
    if once:
        looks = itertools.islice(looks, 1)
    if once or as_json:
        for overview, silent in looks:
            _show(overview, silent, as_json=as_json)
    else:
        _live(looks)


def _live(looks: Iterator[tuple[Overview, Sequence[str]]]) -> None:
    with Live(Text("waiting for the first interval"), console=render.console(), auto_refresh=False) as screen:
        for overview, silent in looks:
            screen.update(_view(overview, silent), refresh=True)


def _show(overview: Overview, silent: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        latency = {name: "+Inf" if value == math.inf else value for name, value in overview.latency_s.items()}
        row = {**asdict(overview), "latency_s": latency, "trouble": overview.trouble, "silent": list(silent)}
        click.echo(json.dumps(row))
    else:
        render.console(piped_width=PIPED_WIDTH).print(_view(overview, silent))


def _looks(addresses: Sequence[str], every_s: float) -> Iterator[tuple[Overview, Sequence[str]]]:
    """One overview for each interval, and who did not answer. SettingsError: nobody does at the first look."""
    before, began_s = _scrape(addresses)[0], time.monotonic()
    while True:
        time.sleep(every_s)
        after, silent = _scrape(addresses, must_answer=False)
        ended_s = time.monotonic()
        yield Overview.between(before, after, ended_s - began_s), silent
        before, began_s = after, ended_s


def _scrape(addresses: Sequence[str], *, must_answer: bool = True) -> tuple[Scrape, list[str]]:
    texts, silent = [], []
    for address in addresses:
        try:
            texts.append(_text(address))
        except (OSError, HTTPException, ValueError) as error:
            silent.append(f"{address}: {error}")
    if must_answer and not texts:
        raise SettingsError(
            f"no worker's metrics can be read: {'; '.join(silent)}. `tessera run` says at its start where they are "
            "(TESSERA_METRICS_HOST, TESSERA_METRICS_PORT)"
        )
    return Scrape(texts), silent


def _text(address: str) -> str:
    """ValueError: it is no address, or what answers is no worker of ours."""
    if not address.startswith(("http://", "https://")):
        raise ValueError("an address begins with http:// or https://")
    with OPENER.open(address, timeout=ANSWER_WITHIN_S) as answer:
        text = answer.read(MOST_BYTES).decode()
    if "auction_build_info" not in text:
        raise ValueError("it answers, but not with a worker's metrics")
    return str(text)


def _view(overview: Overview, silent: Sequence[str]) -> RenderableType:
    lines: list[RenderableType] = [Text(_rates(overview)), _stages(overview)]
    lines += [Text(said, style="red") for said in overview.trouble]
    lines += [Text(f"does not answer: {said}", style="yellow") for said in silent]
    return Group(*lines)


def _rates(overview: Overview) -> str:
    queries = ", ".join(f"{rate:,.1f} {outcome}" for outcome, rate in overview.queries_hz.items() if rate) or "none"
    latency = "  ".join(f"{name} {_latency(value)}" for name, value in overview.latency_s.items())
    revenue = ", ".join(
        money(round(micros), currency) for currency, micros in overview.revenue_micros_per_minute.items()
    )
    return f"queries/s  {queries}\nreplies    {latency}\nrevenue    {revenue} per minute"


def _latency(value: float | None) -> str:
    if value is None:
        return "-"
    return f"≤ {value:g} s" if math.isfinite(value) else "longer than any bucket"


def _stages(overview: Overview) -> Table:
    table = Table("stage", box=box.SIMPLE)
    for name in (
        "in flight",
        "behind",
        "oldest, s",
        "events/s",
        "mean, s",
        "commits/s",
        "aborts/s",
        "dead letters",
        "reopened",
    ):
        table.add_column(name, justify="right")
    for row in overview.stages:
        mean = "-" if row.duration_s is None else f"{row.duration_s:.3f}"
        rates = (f"{rate:,.1f}" for rate in (row.commits_hz, row.aborts_hz))
        counts = (f"{count:,}" for count in (row.dead_letters, row.reopened))
        table.add_row(
            row.stage,
            f"{row.in_flight:,}",
            f"{row.lag_records:,}",
            f"{row.lag_s:,.0f}",
            f"{row.handled_hz:,.1f}",
            mean,
            *rates,
            *counts,
        )
    return table
