"""What other terms would have done, for a terminal, for machines and as a picture."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workers.errors import TesseraError
from workers.experiments.figure import Curve, Plot
from workers.ledger.amounts import money
from workers.receipts.words import counted
from workers.reports.what_if import FEW_CANDIDATES, AdvertiserSums, OtherTerms, TermsSums, WhatIf

MOST_ROWS = 20
MANY_WITH_FEW = 0.1  # a share of auctions worth a warning
ASSUMED = (
    "Bids are taken as they were, and replies are those that were sampled then: what advertisers would answer other "
    "terms with is not in these numbers."
)


def named(terms: OtherTerms) -> str:
    """The terms in a few words."""
    said = [
        *([f"τ {terms.tau_micros_per_nat:,}"] if terms.tau_micros_per_nat else []),
        *([f"τ as held, times {terms.tau_factor:g}"] if terms.tau_factor != 1.0 else []),
        *([terms.payment_rule] if terms.payment_rule else []),
        *([f"without {', '.join(sorted(terms.without))}"] if terms.without else []),
    ]
    return ", ".join(said) or "as held"


def page(report: WhatIf) -> RenderableType:
    """For each currency the terms beside each other, and the charges of each advertiser."""
    parts: list[RenderableType] = []
    for currency, known in sorted(report.currencies.items()):
        parts += [_terms_table(known, currency), Text(), _charges_table(known, currency), Text()]
    return Group(*parts, Text(ASSUMED, style="dim"))


def _terms_table(known: Sequence[TermsSums], currency: str) -> Table:
    table = Table("terms", box=None, header_style="bold")
    for column in ("auctions", "unsold", "revenue", "expected rewards", "KL, nats", "candidates"):
        table.add_column(column, justify="right")
    for sums in known:
        reward = money(round(sums.reward_micros), currency)
        means = f"{_mean(sums, sums.influence_nats):.4f}", f"{_mean(sums, sums.effective_sample_size):.1f}"
        counts = f"{sums.auctions:,}", f"{sums.unsold:,}"
        table.add_row(named(sums.terms), *counts, money(sums.revenue_micros, currency), reward, *means)
    return table


def _charges_table(known: Sequence[TermsSums], currency: str) -> Table:
    table = Table("charges of", box=None, header_style="bold")
    for sums in known:
        table.add_column(named(sums.terms), justify="right")
    ids = sorted(known[0].advertisers, key=lambda id_: -known[0].advertisers[id_].charged_micros)
    for id_ in ids[:MOST_ROWS]:
        table.add_row(id_, *(money(_charged(sums, [id_]), currency) for sums in known))
    if rest := ids[MOST_ROWS:]:
        table.add_row(f"and {len(rest):,} more", *(money(_charged(sums, rest), currency) for sums in known))
    return table


def _charged(sums: TermsSums, ids: Sequence[str]) -> int:
    return sum(own.charged_micros for id_ in ids if (own := sums.advertisers.get(id_)))


def lines(report: WhatIf) -> Iterator[dict[str, Any]]:
    """An object for each currency and terms."""
    for currency, known in sorted(report.currencies.items()):
        for sums in known:
            yield {
                "tau_micros_per_nat": sums.terms.tau_micros_per_nat,
                "tau_factor": sums.terms.tau_factor,
                "payment_rule": sums.terms.payment_rule,
                "without": sorted(sums.terms.without),
                "currency": currency,
                "auctions": sums.auctions,
                "unsold": sums.unsold,
                "revenue_micros": sums.revenue_micros,
                "expected_reward_micros": sums.reward_micros,
                "welfare_micros": sums.welfare_micros,
                "mean_kl_nats": _mean(sums, sums.influence_nats),
                "mean_effective_sample_size": _mean(sums, sums.effective_sample_size),
                "share_naming_a_bidder": _mean(sums, sums.naming),
                "auctions_with_few_candidates": sums.with_few_candidates,
                "advertisers": {id_: _advertiser(own) for id_, own in sorted(sums.advertisers.items())},
            }


def _advertiser(own: AdvertiserSums) -> dict[str, Any]:
    return {
        "name": own.name,
        "auctions": own.auctions,
        "charged_micros": own.charged_micros,
        "expected_reward_micros": own.reward_micros,
    }


def warnings(report: WhatIf) -> Iterator[str]:
    """What makes the numbers say less than they seem to, in sentences."""
    yield from passed_over(report)
    for currency, known in sorted(report.currencies.items()):
        for sums in known:
            yield from few_candidates(currency, sums)
    for id_ in sorted(_unknown(report)):
        yield f"--without {id_}: nobody of that id bid in that log and time"


def passed_over(report: WhatIf) -> Iterator[str]:
    """How many events are not in the numbers, and why."""
    if report.passed_over:
        yield f"{counted(report.passed_over, 'event')} passed over: no auction was held, or not the query's first"


def few_candidates(currency: str, sums: TermsSums) -> Iterator[str]:
    """That the figures of these terms rest on a few replies, where they do."""
    if sums.with_few_candidates > MANY_WITH_FEW * sums.auctions:
        yield (
            f"{currency}, {named(sums.terms)}: in {sums.with_few_candidates:,} of {sums.auctions:,} auctions "
            f"fewer than {FEW_CANDIDATES:g} candidates count (effective sample size): these figures rest on a "
            "few replies; auctions with more candidates would say more"
        )


def _unknown(report: WhatIf) -> set[str]:
    seen = {id_ for known in report.currencies.values() for id_ in known[0].advertisers}
    return {id_ for known in report.currencies.values() for sums in known for id_ in sums.terms.without} - seen


def plot(report: WhatIf) -> Plot:
    """Revenue and expected rewards over τ; TesseraError where one of them is not above zero, as logarithms need it."""
    (currency, known), *_ = report.currencies.items()
    terms = [sums for sums in known if sums.terms.tau_micros_per_nat]
    curves = {
        "revenue": [float(sums.revenue_micros) for sums in terms],
        "expected rewards": [sums.reward_micros for sums in terms],
    }
    positive = {name: values for name, values in curves.items() if min(values) > 0}
    if "revenue" not in positive:
        raise TesseraError("the revenue is not above zero under all these terms, so it has no place on a log plot")
    taus = tuple(float(sums.terms.tau_micros_per_nat or 0) for sums in terms)
    return Plot(
        f"Revenue and expected rewards over τ, {currency}, bids unchanged",
        "τ, micros per nat",
        "micros",
        tuple(
            Curve(name, taus, tuple(values), 0 if name == "revenue" else 1, "line") for name, values in positive.items()
        ),
    )


def _mean(sums: TermsSums, total: float) -> float:
    return total / sums.auctions if sums.auctions else 0.0
