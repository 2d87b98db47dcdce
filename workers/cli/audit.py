"""`tessera audit`: every reply and every bill recomputed from the log, by code that shares nothing with settlement."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import aclosing, closing
from io import UnsupportedOperation
from typing import BinaryIO

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.billing import AdvertiserCredited
from schemas.payload import BadRecord, UnknownValue
from schemas.record import Record
from schemas.topics import CHARGED, CREDITED, SCORED, SETTLED
from workers.audit.auditor import Audit
from workers.audit.completeness import Completeness
from workers.audit.entries import NAMES, READ_FIRST, LogEntry, read_line, read_record
from workers.cli import options, render
from workers.cli.audit_view import Findings, print_json, print_verdict
from workers.errors import TesseraError
from workers.settings import DEMO_DRAW_KEY, Settings

MILLISECONDS = 1_000
REFRESH_ENTRIES = 256
SHOWN = 20


@click.command()
@click.argument("file", type=click.File("rb"), metavar="[FILE|-]", required=False)
@click.option(
    "--grace",
    type=options.Seconds(0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="On Kafka: what is incomplete and younger than this when the audit begins is in flight, not wrong.",
)
@click.option(
    "--limit-findings",
    type=click.IntRange(min=0),
    metavar="N",
    help="Print only the first N discrepancies; all are counted. [default: 20, with --json all]",
)
@options.bootstrap_servers
@options.as_json
def audit(
    file: BinaryIO | None, grace: float, limit_findings: int | None, bootstrap_servers: str | None, as_json: bool
) -> None:
    """Recompute every auction in a log: allocation, draw, charges, bills, and the promises of the mechanism.

    Without FILE the scored, settled, billing, credit and commitment topics are read, and the dead letters of the scored
    one: an auction may end there because another one had its query id. Credits are read first and held in memory; from
    a pipe, which is read once, one that comes behind its bill is "not verifiable". FILE (or - for standard input) holds
    CloudEvents lines as `tessera demo --json` prints them, in the order of their publication; other types of event
    are passed over. The arithmetic is float64 with a proven error bound, and 50-digit decimals wherever the bound
    leaves a doubt; no line of it is shared with the code that settles.

    A draw is repeated where its key is known: revealed in the log, or derived from TESSERA_DRAW_KEY,
    TESSERA_DRAW_KEY_PREVIOUS or the public key of `tessera demo`, whichever has the SHA-256 that was committed to.
    Draws under other keys are "not verifiable" until `tessera keys reveal`.

    \b
    Exit codes: 0 everything is right, 1 a discrepancy, 2 the log cannot be read (nothing is printed then). Kinds:
      terminals     missing_terminal second_terminal unknown_auction second_scored reused_query
                    duplicate_of_nothing unreadable_record
      digests       other_scored_event other_settled_event wrong_key
      replies       wrong_outcome wrong_reply wrong_field wrong_abstentions
      allocation    wrong_probabilities wrong_weights wrong_sample_size
      draws         wrong_u wrong_choice wrong_epoch
      commitments   broken_commitment no_commitment late_commitment second_commitment false_reveal
                    draw_after_reveal uncommitted_draw
      bills         missing_charge double_charge extra_charge wrong_debtor wrong_charge_ids
      charges       wrong_charge wrong_total
      terms         wrong_tau wrong_currency wrong_rule wrong_bound wrong_bill_field
      disclosure    wrong_sponsors wrong_odds wrong_disclosure
      properties    above_bound reward_out_of_range worse_off indifferent_charged
      credits       unknown_charge double_credit wrong_credit_id wrong_credit_field above_charge

    \b
    Examples:
      tessera audit
      tessera demo --json | tessera audit -
      tessera audit log.jsonl --json | jq -r 'select(.kind == "wrong_charge") | .sentence'
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    limit = limit_findings if limit_findings is not None else None if as_json else SHOWN
    began = time.time()
    with closing(Findings(limit)) as findings:
        with closing(
            Audit(
                findings.keep,
                secrets_of(settings),
                None if file else _completeness(began, grace),
                credits_first=file is None or file.seekable(),
            )
        ) as audit:
            if file:
                _read_file(audit, file)
            else:
                asyncio.run(_read_kafka(audit, settings))
            tally = audit.finish()
        (print_json if as_json else print_verdict)(tally, findings, time.time() - began)
    sys.exit(1 if tally.discrepancies else 0)


def secrets_of(settings: Settings) -> list[bytes]:
    """Every secret that draws may have been made with."""
    given = (settings.draw_key, settings.draw_key_previous, DEMO_DRAW_KEY)
    return [secret.get_secret_value().encode() for secret in given if secret is not None]


def _completeness(began: float, grace: float) -> Completeness:
    settled_from, billed_from = (began - topic.retention.total_seconds() for topic in (SETTLED, CHARGED))
    return Completeness(*(int(at * MILLISECONDS) for at in (settled_from, began - grace, billed_from)))


def _read_file(audit: Audit, file: BinaryIO) -> None:
    """Every line; TesseraError names the one that cannot be read. Credits first, where a file can be read twice."""
    found = False
    if audit.credits_first:
        _read_credits(audit, file)
    with _progress() as progress:
        advance = _advancer(progress, audit, _size(file))
        for number, line in enumerate(file, 1):
            if line.strip() and (entry := _entry(file, number, line)) is not None:
                if not (audit.credits_first and isinstance(entry.data, AdvertiserCredited)):
                    audit.add(entry)
                found = True
            advance(len(line))
    if not found:
        raise TesseraError(f"{file.name} has no event of an auction in it; `tessera demo --json` prints some")


def _read_credits(audit: Audit, file: BinaryIO) -> None:
    """The credits alone; the file is then where it was."""
    begin, needle = file.tell(), CREDITED.name.encode()
    for number, line in enumerate(file, 1):
        if needle in line and (entry := _entry(file, number, line)) and isinstance(entry.data, AdvertiserCredited):
            audit.add(entry)
    file.seek(begin)


def _entry(file: BinaryIO, number: int, line: bytes) -> LogEntry | None:
    try:
        return read_line(line, number)
    except BadRecord as error:
        raise TesseraError(f"{file.name}, line {number}: {error.reason.name}: {error}") from None


async def _read_kafka(audit: Audit, settings: Settings) -> None:
    from workers.app.bus import bus_of  # here: a file needs neither Kafka's client nor metrics

    bus = bus_of(settings)
    with _progress() as progress:
        advance = _advancer(progress, audit, None)
        for topics in (READ_FIRST, NAMES):
            async with aclosing(bus.stored(topics)) as records:
                async for record in records:
                    _add_record(audit, record)
                    advance(len(record.value or b""))


def _add_record(audit: Audit, record: Record) -> None:
    """A scored event that nobody can read was refused by settlement, too: it is counted, and no discrepancy."""
    try:
        if (entry := read_record(record)) is not None:
            audit.add(entry)
    except UnknownValue as error:
        where = record.place
        raise TesseraError(f"{where}: {error}: audit it with the release that wrote it, or a newer one") from None
    except BadRecord as error:
        if record.topic == SCORED.name:
            audit.tally.notes["unreadable"] += 1
        else:
            where = f"{record.topic} partition {record.partition} offset {record.offset}"
            audit.unreadable(where, f"{error.reason.name}: {error}")


def _progress() -> Progress:
    """A bar on standard error, gone when the work is done."""
    columns = (TextColumn("auctions {task.fields[auctions]:,}"), BarColumn(), TextColumn("{task.fields[rate]:,.0f}/s"))
    console = render.console(stderr=True)
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)


def _advancer(progress: Progress, audit: Audit, size: int | None) -> Callable[[int], None]:
    """Told of every entry's bytes; it shows them now and then. `size`: bytes in all, if known."""
    bar = progress.add_task("", total=size, auctions=0, rate=0.0)
    began, entries, waiting = time.perf_counter(), 0, 0

    def advance(read: int) -> None:
        nonlocal entries, waiting
        entries, waiting = entries + 1, waiting + read
        if entries % REFRESH_ENTRIES == 0:
            auctions = audit.tally.notes["auctions"]
            rate = auctions / (time.perf_counter() - began)
            progress.update(bar, advance=waiting, auctions=auctions, rate=rate)
            waiting = 0

    return advance


def _size(file: BinaryIO) -> int | None:
    """Bytes of a plain file; None for a pipe."""
    try:
        return os.fstat(file.fileno()).st_size or None
    except (OSError, UnsupportedOperation):
        return None
