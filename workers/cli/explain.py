"""`tessera explain`: the receipt of one query: who moved what, what it cost and how the reply was drawn."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from schemas.receipt import Receipt
from workers.app.bus import bus_of
from workers.cli import options, period, receipt_view, render
from workers.cli.documents import require_writable, write_whole
from workers.cli.query_log import QueryLog, read_kafka, read_lines
from workers.cli.visible import visible
from workers.receipts.build import advertiser_receipt, auditor_receipt
from workers.receipts.recheck import recheck
from workers.receipts.statement import Period
from workers.settings import Settings
from workers.web.receipt.page import page


class MomentOrFile(click.ParamType[Any, Any]):
    """A time or a day where the text is one, else a file; a file that is called like a day is ./2026-11-24."""

    name = "time|file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return period.moment(value)
        except ValueError:
            return click.File("rb").convert(value, param, ctx)


@click.command()
@click.argument("query_id")
@click.option(
    "--advertiser", metavar="ID|NAME", help="The receipt of this advertiser alone; without it, the auditor's."
)
@click.option(
    "--from",
    "begin",
    type=MomentOrFile(),
    callback=period.in_order,
    metavar="FILE|-|TIME|DAY",
    help="CloudEvents lines, as `tessera demo --json` prints them, instead of Kafka; or the first moment of a period.",
)
@period.end
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the receipt as one self-contained page.",
)
@options.bootstrap_servers
@options.as_json
def explain(
    query_id: str,
    advertiser: str | None,
    begin: BinaryIO | datetime | None,
    end: datetime | None,
    html: Path | None,
    bootstrap_servers: str | None,
    as_json: bool,
) -> None:
    """Explain one query: who moved the reply, what that cost them, and how the reply was drawn.

    The receipt is recomputed from the logged events: every probability with and without each advertiser, every
    charge term by term, and the draw, if its key is revealed, is the one of `tessera demo`, or follows from
    TESSERA_DRAW_KEY. Without --advertiser it is the auditor's and holds everything. With it, it holds what that
    advertiser may see: its own rewards, the two probabilities of each candidate, its charge and the draw.

    Kafka is read from end to end, unless --from and --to say in which period the query was settled.

    Exit code 1: the receipt was made but does not recompute, for instance because a bill is not the charge that
    follows from the logged numbers; standard error says what does not fit. Exit code 2: there is no receipt.

    \b
    Examples:
      tessera demo --json > log.jsonl
      tessera explain demo-memory-003 --from log.jsonl
      tessera explain demo-memory-003 --from log.jsonl --html receipt.html
      tessera explain demo-memory-003 --from log.jsonl --advertiser irontable --json
      tessera explain chat-7f3a --from 2026-11-24 --to 2026-11-25
    """
    if html:
        require_writable(html)
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    log = _log(settings, query_id, begin, end)
    if log.unreadable:
        click.echo(
            f"tessera: {log.unreadable:,} unreadable records that do not name {query_id} were skipped; "
            f"the first: {visible(log.first_unreadable)}",
            err=True,
        )
    sale = log.sale(settings.draw_secrets if settings.draw_key else ())
    receipt = advertiser_receipt(sale, advertiser) if advertiser else auditor_receipt(sale)
    problems = recheck(receipt)
    if html:
        write_whole(html, page(receipt, problems))
    _print(receipt, problems, html, as_json)
    if problems:
        _complain(receipt, problems)
        raise SystemExit(1)


def _log(settings: Settings, query_id: str, begin: BinaryIO | datetime | None, end: datetime | None) -> QueryLog:
    if begin is None or isinstance(begin, datetime):
        stored = period.StoredInPeriod(bus_of(settings), Period(begin, end))
        return asyncio.run(read_kafka(stored, query_id, f"Kafka at {settings.bootstrap_servers}"))
    if end is not None:
        raise click.UsageError("--to is for Kafka: a file is read whole")
    return read_lines(begin, query_id, begin.name)


def _print(receipt: Receipt, problems: Sequence[str], html: Path | None, as_json: bool) -> None:
    if as_json:
        click.echo(receipt.model_dump_json())
    elif html:
        click.echo(f"{html}: the {receipt.kind}'s receipt of {receipt.query_id}")
    else:
        render.console().print(receipt_view.receipt(receipt, problems))


def _complain(receipt: Receipt, problems: Sequence[str]) -> None:
    """What does not recompute, on standard error: machines read the other one."""
    click.echo(f"tessera: the {receipt.kind}'s receipt of {receipt.query_id} does not recompute:", err=True)
    for problem in problems:
        click.echo(f"  {visible(problem)}", err=True)
