"""A statement for a terminal, and as rows for a spreadsheet."""

import csv
import io

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.statement import Statement, StatementLine
from workers.ledger.amounts import money
from workers.receipts.words import counted

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet begins to calculate at
COLUMNS = (
    "kind",
    "time",
    "query_id",
    "charge_id",
    "micros",
    "currency",
    "probability_without",
    "probability_with",
    "named_without",
    "named_with",
    "bill_sha256",
    "text",
)


def reconciliation(found: Statement) -> str:
    """Whether the lines are the account, in a sentence."""
    if found.problems:
        return "which does NOT reconcile"
    totals, currency = found.totals, found.currency
    charged, credited = money(totals.charged_micros, currency), money(totals.credited_micros, currency)
    return (
        f"reconciled to the micro: {money(totals.opening_balance_micros, currency)} before + {charged} of "
        f"{counted(totals.charges, 'bill')} − {credited} of {counted(totals.credits, 'credit')} "
        f"= {money(totals.closing_balance_micros, currency)}"
    )


def lift(found: Statement) -> str:
    """How often replies named the advertiser because it bid, in a sentence; empty where nothing is known of it."""
    totals = found.totals
    if totals.mean_named_with is None or totals.mean_named_without is None:
        return ""
    return (
        f"a reply named {found.name} with a probability of {totals.mean_named_with:.2%}, "
        f"without its bid of {totals.mean_named_without:.2%} (mean of {counted(totals.measured, 'auction')}, exact)"
    )


def statement(found: Statement) -> RenderableType:
    """The charges, the credits, and the sums."""
    table = Table(box=None, header_style="bold")
    table.add_column("charged at", no_wrap=True)
    table.add_column("query", overflow="fold")
    for column in ("reply\nwithout", "\nwith", "named\nwithout", "\nwith", "charge"):
        table.add_column(column, justify="right", no_wrap=True)
    for line in found.lines:
        table.add_row(f"{line.charged_at:%Y-%m-%d %H:%M:%S}", line.query_id, *_figures(line), _amount(line, found))
    credits = [
        Text(f"credit of {money(one.credit_micros, found.currency)} for {one.query_id}: {one.reason}")
        for one in found.credits
    ]
    said = [Text(one) for one in (lift(found), reconciliation(found)) if one]
    return Group(table, *credits, Text(), *said)


def _figures(line: StatementLine) -> list[str]:
    chances = (line.probability_without, line.probability_with, line.named_without, line.named_with)
    return ["?" if chance is None else f"{chance:.2%}" for chance in chances]


def _amount(line: StatementLine, found: Statement) -> str:
    return money(line.charge_micros, found.currency)


def csv_text(found: Statement) -> str:
    """A row for each charge, then one for each credit, whose micros are below 0; the micros add up to what is owed."""
    rows = [
        (
            *("charge", line.charged_at.isoformat(), line.query_id, line.charge_id, line.charge_micros, found.currency),
            *(line.probability_without, line.probability_with, line.named_without, line.named_with),
            *(line.bill_sha256, _text(line.reply or "")),
        )
        for line in found.lines
    ]
    credits = [
        (
            *("credit", one.credited_at.isoformat(), one.query_id, one.charge_id, -one.credit_micros, found.currency),
            *(None, None, None, None, None, _text(one.reason)),
        )
        for one in found.credits
    ]
    written = io.StringIO(newline="")
    csv.writer(written).writerows([COLUMNS, *rows, *credits])
    return written.getvalue()


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
