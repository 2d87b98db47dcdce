"""The frontier of τ for a terminal, and what an operator whose τ is on its steep part is told."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workers.cli.whatif_view import ASSUMED, few_candidates, passed_over
from workers.ledger.amounts import money
from workers.reports.frontier import STEEP_NATS, Frontier, calm_from, frontiers, is_steep, strays
from workers.reports.what_if import TermsSums, WhatIf

COLUMNS = ("revenue", "expected rewards", "welfare", "KL, nats", "names a bidder", "candidates")
EXPLAINED = (
    "Welfare: rewards less the KL at the τ as held, which is what replies were drawn to maximise. KL: how far all bids "
    "together move replies from the reference model's. Candidates: effective sample size."
)


def page(report: WhatIf) -> RenderableType:
    """A table for each currency."""
    tables = [part for currency, found in frontiers(report).items() for part in (_table(found, currency), Text())]
    return Group(*tables, Text(EXPLAINED, style="dim"), Text(ASSUMED, style="dim"))


def _table(found: Frontier, currency: str) -> Table:
    table = Table("τ", title=f"in {currency}", title_justify="left", box=None, header_style="bold")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for factor, sums in found.items():
        amounts = (sums.revenue_micros, round(sums.reward_micros), round(sums.welfare_micros))
        shares = f"{strays(sums):.4f}", f"{sums.naming / sums.auctions:.1%}"
        candidates = f"{sums.effective_sample_size / sums.auctions:.1f}"
        table.add_row(named(factor), *(money(amount, "").rstrip() for amount in amounts), *shares, candidates)
    return table


def named(factor: float) -> str:
    """`as held`, `× 2`, `÷ 4`."""
    if factor == 1.0:
        return "as held"
    return f"× {factor:g}" if factor > 1 else f"÷ {1 / factor:g}"


def warnings(report: WhatIf) -> Iterator[str]:
    """What was left out, where few candidates count, and for each currency whose τ is on the steep part, that it is."""
    yield from passed_over(report)
    for currency, found in frontiers(report).items():
        yield from few_candidates(currency, found[1.0])
        if is_steep(found, 1.0):
            yield f"{currency}: {_steep(found)} {_calmer(found, currency)}"


def _steep(found: Frontier) -> str:
    half, held, twice = (f"{strays(found[factor]):.2f}" for factor in (0.5, 1.0, 2.0))
    return (
        f"this τ is on the steep part: bids move replies by {held} nats (KL), at half of it by {half}, at twice by "
        f"{twice}. Bids twice as high act like half of τ, so that a few changed bids would make other replies."
    )


def _calmer(found: Frontier, currency: str) -> str:
    factor = calm_from(found)
    if factor is None:
        return f"No τ up to {named(max(found))} is calm."
    return (
        f"From τ {named(factor)} on no doubling takes away more than {STEEP_NATS:g} nat and half of it; revenue there "
        f"is {_revenue(found[factor], currency)} instead of {_revenue(found[1.0], currency)}, with these bids."
    )


def _revenue(sums: TermsSums, currency: str) -> str:
    return money(sums.revenue_micros, currency)
