"""The same numbers in decimals of 50 digits, for what float64 cannot decide. Logged floats are taken exactly."""

from dataclasses import dataclass, field
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext

from workers.audit.auction import LoggedAuction

DIGITS = Context(prec=50, Emin=MIN_EMIN, Emax=MAX_EMAX)  # exp(-10**15) is a number here, not 0

Parties = frozenset[int]


@dataclass
class Exact:
    """V(S) = τ·log Σ_j exp(w_j + Σ_{k∈S} r_kj/τ) of sets S of parties, and the charges that follow."""

    auction: LoggedAuction
    _values: dict[Parties, Decimal] = field(default_factory=dict)

    def value(self, parties: Parties) -> Decimal:
        """V(S) in micros."""
        if parties not in self._values:
            with localcontext(DIGITS):
                scores = self._scores(parties)
                top = max(scores)
                total = sum(((score - top).exp() for score in scores), Decimal(0))
                weight = Decimal(self.auction.tau)
                self._values[parties] = weight * (top + total.ln())
        return self._values[parties]

    def charge(self, payer: int) -> Decimal:
        """p = π·r − V(all) + V(all but the payer): micros before rounding, for the party `payer`."""
        parties = frozenset(range(len(self.auction.parties)))
        with localcontext(DIGITS):
            scores = self._scores(parties)
            top = max(scores)
            powers = [(score - top).exp() for score in scores]
            weighed = sum((p * r for p, r in zip(powers, self._rewards(payer), strict=True)), Decimal(0))
            return weighed / sum(powers, Decimal(0)) - self.value(parties) + self.value(parties - {payer})

    def _scores(self, parties: Parties) -> list[Decimal]:
        auction = self.auction
        rows = [self._rewards(party) for party in sorted(parties)]
        base = [Decimal(ref) - Decimal(q) for ref, q in zip(auction.log_ref, auction.log_q, strict=True)]
        bids = zip(*rows, strict=True) if rows else [()] * len(base)
        return [w + sum(column, Decimal(0)) / auction.tau for w, column in zip(base, bids, strict=True)]

    def _rewards(self, party: int) -> list[Decimal]:
        """[M] the party's rewards, micros: the sum of its members'."""
        columns = zip(*self.auction.parties[party].rewards, strict=True)
        return [sum(map(Decimal, column), Decimal(0)) for column in columns]
