"""The marker probe as a person runs it: a bar while it works, then a table and what it means."""

import asyncio
import json
import tempfile
from pathlib import Path

import click
from rich import box
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from workers.cli import render
from workers.doctor.marker_probe import probe_markers
from workers.doctor.marker_probe.comparison import Comparison, ProbeReport, Round
from workers.errors import BrokerError


def probe(version: str | None, rounds: int, ids: int, keep: Path | None) -> ProbeReport:
    """Run it in a folder that is deleted, or in the new folder `keep`. BrokerError, MissingProgram."""
    if keep is not None:
        if keep.exists():
            raise BrokerError(f"{keep} exists; the probe's broker needs a folder that does not")
        return _run(keep, version, rounds, ids)
    with tempfile.TemporaryDirectory(prefix="tessera-marker-probe-") as scratch:
        return _run(Path(scratch) / "broker", version, rounds, ids)


def _run(scratch: Path, version: str | None, rounds: int, ids: int) -> ProbeReport:
    console = render.console(stderr=True)
    columns = (TextColumn("kill and restart"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=rounds)

        def note(message: str) -> None:
            progress.console.print(message, highlight=False)

        return asyncio.run(probe_markers(scratch, version, ids, rounds, note, lambda _: progress.advance(bar)))


def show(report: ProbeReport, as_json: bool) -> None:
    """A row for each round, then the totals and the verdict; with `as_json` one object for each."""
    if as_json:
        for one in report.rounds:
            click.echo(json.dumps(_row(report, one)))
        click.echo(json.dumps(_totals(report)))
    else:
        _print(report)


def _row(report: ProbeReport, one: Round) -> dict[str, object]:
    return {
        "kafka_version": report.kafka_version,
        "round": one.number,
        "ids": report.ids,
        "transactions": one.transactions,
        "unanswered": one.unanswered,
        "restart_s": round(one.restart_s, 3),
        **_counts(one.found),
        "skipped_markers": one.skipped_markers,
    }


def _totals(report: ProbeReport) -> dict[str, object]:
    return {
        "kafka_version": report.kafka_version,
        "rounds": len(report.rounds),
        "ids": report.ids,
        "transactions": sum(one.transactions for one in report.rounds),
        **_counts(report.found),
        "skipped_markers": report.skipped_markers,
        "clean": report.clean,
    }


def _counts(found: Comparison) -> dict[str, int]:
    return {
        "lost_offsets": len(found.lost_offsets),
        "lost_records": len(found.lost_records),
        "doubled_records": len(found.doubled_records),
    }


def _print(report: ProbeReport) -> None:
    console = render.console()
    table = Table(box=box.SIMPLE_HEAD)
    headings = ("round", "answered", "unanswered", "restart, s")
    for heading in (*headings, "lost offsets", "lost records", "doubled records", "markers skipped"):
        table.add_column(heading, justify="right")
    for one in report.rounds:
        counts = map(str, _counts(one.found).values())
        head = (str(one.number), str(one.transactions), str(one.unanswered), f"{one.restart_s:.1f}")
        table.add_row(*head, *counts, str(one.skipped_markers))
    table.add_row("end", "", "", "", *map(str, _counts(report.at_the_end).values()), "")
    console.print(table)
    console.print(Text(verdict(report), style="bold green" if report.clean else "bold red"), soft_wrap=True)


def verdict(report: ProbeReport) -> str:
    """What it means, in a sentence or two."""
    kafka, restarts = f"Kafka {report.kafka_version}", report.ids * len(report.rounds)
    looked = f"{report.ids} transactional ids × {len(report.rounds)} restarts = {restarts}"
    if report.found != Comparison():
        found = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in _counts(report.found).items())
        return (
            f"{kafka} lost a commit marker: {found} in {looked}. Work that was acknowledged is done again after such a "
            "restart, and charged twice. Use 4.2.2."
        )
    if report.skipped_markers:
        return (
            f"{kafka} gave up {report.skipped_markers} commit markers (“likely deleted already and hence can be "
            f"skipped”) in {looked}. This time nothing was lost: they were written before the kill, or tried again. "
            "The next kill can come earlier. Use 4.2.2."
        )
    return f"{kafka} kept every acknowledged offset and record in {looked}."
