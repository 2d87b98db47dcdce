"""What an audit found, for people and for machines; findings wait in a temporary file until the log has been read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from tempfile import SpooledTemporaryFile
from typing import Any

import click
from rich import box
from rich.table import Table
from rich.text import Text

from workers.audit.findings import CHECK_OF, Check, Finding, Tally
from workers.audit.terms import AuctionTerms, TermsByDay
from workers.cli import render
from workers.cli.visible import visible
from workers.receipts.words import counted

MOST_TERMS = 40
FEWEST_FOR_A_PACE = 100  # of fewer auctions the time is that of the start
SPOOL_BYTES = 4 * 1024 * 1024
NOTES = {
    "in_flight": "auctions in flight, incomplete and younger than the grace period",
    "past_retention": "auctions older than replies are kept, or than the period is, incomplete",
    "duplicates": "auctions of query ids that were used before; settlement refused them, and nobody paid",
    "refused": "auctions that settlement refused, and nobody paid; `tessera dlq list` says why",
    "scored_again": "scored events of auctions that had one: settled and billed once, but a model's time was wasted",
    "settled_before": "scored events that came again after their ids were forgotten: refused, and nobody paid twice",
    "refused_again": "dead letters that say what an earlier one said: a position went back, and nobody paid",
    "unreadable": "records on the scored topic that are no event; settlement refuses them as well",
    "before_terms": "auctions before the first published terms were in force: held to none",
    "by_decimal": "charges decided in 50-digit decimals",
    "imprecise": "charges so large against τ that float64 cannot settle them to the micro; right to its precision",
}


class Findings:
    """The first `limit` discrepancies (None: all), in the order they were met."""

    def __init__(self, limit: int | None) -> None:
        self._limit, self._kept = limit, 0
        self._spool: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(SPOOL_BYTES)

    def keep(self, finding: Finding) -> None:
        if self._limit is None or self._kept < self._limit:
            self._kept += 1
            row = {**asdict(finding), "invariant": CHECK_OF[finding.kind].name.lower()}
            self._spool.write(json.dumps({**row, "sentence": finding.sentence}, ensure_ascii=False).encode() + b"\n")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._spool.seek(0)
        return (json.loads(line) for line in self._spool)

    def close(self) -> None:
        self._spool.close()


def print_json(tally: Tally, findings: Findings, duration_s: float, more: Mapping[str, Any]) -> None:
    """One object for each discrepancy, and a last one with the totals and what else there is to say."""
    for finding in findings:
        click.echo(json.dumps(finding, ensure_ascii=False))
    totals = {
        "auctions": tally.notes["auctions"],
        "discrepancies": tally.discrepancies,
        "kinds": dict(tally.kinds),
        "invariants": {one.name.lower(): _counts(tally, one) for one in Check},
        **{note: tally.notes[note] for note in NOTES},
        "terms": [{"day": day, **terms._asdict(), "auctions": count} for day, terms, count in tally.terms.rows()],
        "on_other_terms": tally.terms.others,
        "duration_s": round(duration_s, 3),
        **more,
    }
    click.echo(json.dumps(totals))


def _counts(tally: Tally, invariant: Check) -> dict[str, int]:
    counted = {"checked": tally.checked, "wrong": tally.wrong, "not_verifiable": tally.unverifiable}
    return {name: counts[invariant] for name, counts in counted.items()}


def print_verdict(tally: Tally, findings: Findings, duration_s: float) -> None:
    """A row for each invariant, remarks, the first discrepancies in a sentence each, and the verdict."""
    console = render.console()
    table = Table("invariant", box=box.SIMPLE_HEAD)
    for column in ("checked", "wrong", "not verifiable"):
        table.add_column(column, justify="right")
    for invariant in Check:
        checked, wrong, unverifiable = _counts(tally, invariant).values()
        style = "bold red" if wrong else None
        table.add_row(invariant.value, f"{checked:,}", f"{wrong:,}", f"{unverifiable:,}", style=style)
    console.print(table)
    for note, meaning in NOTES.items():
        if tally.notes[note]:
            console.print(Text(f"{tally.notes[note]:,} {meaning}", style="dim"))
    if tally.unverifiable[Check.COMMITMENTS] and not tally.checked[Check.COMMITMENTS]:
        console.print(Text("commitments are not in the input", style="dim"))
    if tally.unverifiable[Check.DRAWS]:
        console.print(Text("draws are not verifiable before their key is revealed or given", style="dim"))
    if tally.unverifiable[Check.SEEDS]:
        console.print(Text("seeds are not verifiable before their key is revealed or given", style="dim"))
    if tally.unverifiable[Check.SEED_COMMITMENTS]:
        said = "seeds of days whose key nobody committed to before their first auction: see `tessera keys commit`"
        console.print(Text(said, style="dim"))
    if tally.unverifiable[Check.REPLIES]:
        said = "whether they were scored before the deadlines they state cannot be told: no brokertime in the input"
        console.print(Text(said, style="dim"))
    _print_terms(tally.terms)
    _print_findings(tally, findings)
    console.print(_summary(tally, duration_s))


def _print_terms(found: TermsByDay) -> None:
    """One sentence where all are the same; else each day's, as a change is the operator's to explain."""
    console, rows = render.console(), found.rows()
    if len({terms for _, terms, _ in rows}) == 1:
        console.print(Text(f"all on the same terms: {_shown(rows[0][1])}", style="dim"), soft_wrap=True)
        return
    for day, terms, count in rows[:MOST_TERMS]:
        console.print(Text(f"{day}, auctions {count:,}: {_shown(terms)}"), soft_wrap=True)
    if len(rows) > MOST_TERMS:
        console.print(Text(f"and {len(rows) - MOST_TERMS:,} more; --json has them", style="dim"))


def _shown(terms: AuctionTerms) -> str:
    models = ", ".join(map(visible, terms.models))
    words = f", prompts {', '.join(terms.prompts)}" if terms.prompts else ""
    known = f"τ {terms.tau_micros_per_nat:,} micros per nat, {terms.currency}, rule {terms.payment_rule}"
    return f"{known}, model {models}{words}"


def _print_findings(tally: Tally, findings: Findings) -> None:
    console, shown = render.console(), 0
    for finding in findings:
        shown += 1
        console.print(Text(visible(f"{finding['kind']}: {finding['sentence']}")), soft_wrap=True)
    if (rest := tally.discrepancies - shown) > 0:
        console.print(Text(f"and {rest:,} more; --limit-findings shows them", style="dim"))


def _summary(tally: Tally, duration_s: float) -> Text:
    auctions, found = tally.notes["auctions"], tally.discrepancies
    if not auctions and not found:
        return Text("there is no auction to audit: the topics hold none yet", style="bold yellow")
    pace = f", {auctions / duration_s:,.0f} auctions/s" if auctions >= FEWEST_FOR_A_PACE and duration_s else ""
    left = sum(tally.unverifiable.values())
    right = "everything is right" if not left else f"nothing is wrong; {left:,} checks could not be made"
    verdict = right if not found else f"{found:,} discrepanc{'y' if found == 1 else 'ies'}"
    style = "bold red" if found else "bold yellow" if left else "bold green"
    return Text(f"{counted(auctions, 'auction')}: {verdict}; {duration_s:.1f} s{pace}", style=style)
