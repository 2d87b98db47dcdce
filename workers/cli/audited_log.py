"""The log of an audit, from Kafka or a file: every entry is audited, and a sample of the auctions kept for a model."""

import os
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from io import UnsupportedOperation
from typing import BinaryIO

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.auction import CandidatesScored
from schemas.billing import AdvertiserCredited
from schemas.payload import BadRecord, UnknownValue
from schemas.record import Record
from schemas.topics import CREDITED, SCORED
from workers.audit.auditor import Audit
from workers.audit.entries import NAMES, READ_FIRST, SOURCES, LogEntry, read_line, read_record
from workers.cli import render
from workers.cli.audit_models import ModelAudit
from workers.cli.audit_period import AuditPeriod
from workers.cli.audit_shares import Share
from workers.cli.period import StoredInPeriod
from workers.errors import TesseraError
from workers.settings import Settings

REFRESH_ENTRIES = 256


@dataclass(frozen=True)
class AuditedLog:
    """Takes the log's entries: all are audited, and a sample of the auctions is kept for a model."""

    audit: Audit
    models: ModelAudit

    def add(self, entry: LogEntry) -> None:
        self.audit.add(entry)
        if isinstance(entry.data, CandidatesScored):
            self.models.offer(entry.data, entry.sha256)


def read_file(log: AuditedLog, file: BinaryIO) -> None:
    """Every line; TesseraError names the one that cannot be read. Credits first, where a file can be read twice."""
    found, audit = False, log.audit
    if audit.credits_first:
        _read_credits(audit, file)
    with _progress() as progress:
        advance = _advancer(progress, audit, _size(file))
        for number, line in enumerate(file, 1):
            if line.strip() and (entry := _entry(file, number, line)) is not None:
                if not (audit.credits_first and isinstance(entry.data, AdvertiserCredited)):
                    log.add(entry)
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


async def read_kafka(
    log: AuditedLog, settings: Settings, asked: AuditPeriod, share: Share, *, with_sources: bool = False
) -> None:
    """What the topics hold of a period and of an hour around it, and of the share; queries first, where wanted."""
    from workers.app.bus import bus_of  # here: a file needs neither Kafka's client nor metrics

    bus = StoredInPeriod(bus_of(settings), asked.limits, asked.state.since)
    with _progress() as progress:
        advance = _advancer(progress, log.audit, None)
        for topics in ((*SOURCES, *READ_FIRST) if with_sources else READ_FIRST, NAMES):
            async with aclosing(bus.stored(topics)) as records:
                async for record in records:
                    if share.holds(record):
                        _add_record(log, record)
                    advance(len(record.value or b""))


def _add_record(log: AuditedLog, record: Record) -> None:
    """A scored event that nobody can read was refused by settlement, too: it is counted, and no discrepancy."""
    try:
        if (entry := read_record(record)) is not None:
            log.add(entry)
    except UnknownValue as error:
        where = record.place
        raise TesseraError(f"{where}: {error}: audit it with the release that wrote it, or a newer one") from None
    except BadRecord as error:
        if record.topic == SCORED.name:
            log.audit.tally.notes["unreadable"] += 1
        else:
            where = f"{record.topic} partition {record.partition} offset {record.offset}"
            log.audit.unreadable(where, f"{error.reason.name}: {error}")


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
