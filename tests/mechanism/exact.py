"""The mechanism once more, in 60-digit decimals and by the paper's formula EC.4: shares no line with the product.

Also the product's own floats are taken as exact decimals, so that only the arithmetic is compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext

DIGITS = Context(prec=60, Emin=MIN_EMIN, Emax=MAX_EMAX)  # exp(-10**15) is a number here, not 0


@dataclass(frozen=True)
class Exact:
    """One auction: π [M], π₋ᵢ [N][M] and the charges before rounding [N], micros."""

    pi: tuple[Decimal, ...]
    pi_without: tuple[tuple[Decimal, ...], ...]
    charges: tuple[Decimal, ...]

    def weights(self) -> list[int]:
        """floor(π·2⁶²)."""
        with localcontext(DIGITS):
            return [int(probability * 2**62) for probability in self.pi]


def solve(log_q: Sequence[float], log_ref: Sequence[float], rewards: Sequence[Sequence[float]], tau: float) -> Exact:
    """p_i = π·r_i − τ·log Σ exp(S) + τ·log Σ exp(S − r_i/τ), over the candidates the reference model can say."""
    possible = [j for j, value in enumerate(log_ref) if value != float("-inf")]
    with localcontext(DIGITS):
        weight = Decimal(tau)
        bids = [[Decimal(row[j]) for j in possible] for row in rewards]
        base = [Decimal(log_ref[j]) - Decimal(log_q[j]) for j in possible]
        scores = [w + sum(bid[k] for bid in bids) / weight for k, w in enumerate(base)]
        without = [[score - bid[k] / weight for k, score in enumerate(scores)] for bid in bids]
        pi, total = _softmax(scores)
        solved = [_softmax(row) for row in without]
        charges = [
            sum((p * r for p, r in zip(pi, bid, strict=True)), Decimal(0)) - weight * total + weight * log_sum
            for bid, (_, log_sum) in zip(bids, solved, strict=True)
        ]
        rows = [_spread(row, possible, len(log_ref)) for row in (pi, *(row for row, _ in solved))]
    return Exact(rows[0], tuple(rows[1:]), tuple(charges))


def _softmax(scores: Sequence[Decimal]) -> tuple[list[Decimal], Decimal]:
    """The probabilities and log Σ exp(scores)."""
    powers = [(score - max(scores)).exp() for score in scores]
    total = sum(powers, Decimal(0))
    return [power / total for power in powers], max(scores) + total.ln()


def _spread(row: Sequence[Decimal], possible: Sequence[int], length: int) -> tuple[Decimal, ...]:
    """The row over all candidates, 0 where impossible."""
    known = dict(zip(possible, row, strict=True))
    return tuple(known.get(j, Decimal(0)) for j in range(length))
