"""What τ decides, and whether the τ of a log is where a little of it moves replies a lot.

Scaling all bids is scaling τ the other way (the mechanism sees rewards over τ only), so a τ on the steep part is one at
which twice the bids, or half of them, would make other replies.
"""

from collections.abc import Mapping

from workers.reports.what_if import OtherTerms, TermsSums, WhatIf

FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # of the τ that each auction was held at
STEEP_NATS = 1.0  # KL that a doubling of τ takes away, while more than halving it

Frontier = Mapping[float, TermsSums]  # by factor


def frontier_report() -> WhatIf:
    """Auctions as they were held, and at each of FACTORS times their τ."""
    return WhatIf([OtherTerms(tau_factor=factor) for factor in FACTORS if factor != 1.0])


def frontiers(report: WhatIf) -> dict[str, Frontier]:
    """By currency, what came out at each factor, in order."""
    return {
        currency: {sums.terms.tau_factor: sums for sums in sorted(known, key=lambda one: one.terms.tau_factor)}
        for currency, known in sorted(report.currencies.items())
    }


def strays(sums: TermsSums) -> float:
    """Mean KL of the allocation to the one without any bid, nats."""
    return sums.influence_nats / sums.auctions


def is_steep(found: Frontier, factor: float) -> bool:
    """Whether twice or half this τ makes other replies. KeyError: the frontier lacks one of the three."""
    return any(_falls(found, lower) for lower in (factor / 2, factor))


def calm_from(found: Frontier) -> float | None:
    """The smallest factor from which on no step, nor the one to it, is steep; None where the frontier ends before."""
    steep = [lower for lower in FACTORS[:-1] if _falls(found, lower)]
    calm = [factor for factor in FACTORS[:-1] if factor > 2 * max(steep, default=0.0)]
    return calm[0] if calm else None


def _falls(found: Frontier, factor: float) -> bool:
    before, after = strays(found[factor]), strays(found[2 * factor])
    return before - after > STEEP_NATS and after < before / 2
