"""A watch for split bids: pairs of advertisers who wish for the same in auction after auction (mechanism/README §6).

k identities that report r/k each leave the reply alone and pay less than one that reports r, for any way of dividing r.
What gives them away is that their rewards, less their mean over the candidates of an auction, are collinear.

The statistic is the cosine of two advertisers' centred rewards, averaged over the auctions they share with the weights
|x|·|y|: Σ x·y / Σ |x|·|y|. It is 1 for parts of one bid even when each auction divides it anew, which hides them from
Σ x·y / √(Σ x·x · Σ y·y); and auctions in which one of them has little at stake count little.

It is a suspicion, no proof: two honest advertisers may wish for the same. And who adds noise to one part and takes it
from another is not seen; but each part pays for its noise.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from workers.mechanism.allocation import Floats, InvalidAuction

MIN_AUCTIONS = 20
FEWEST_CANDIDATES = 4  # that differ: between two, all wishes are collinear; between three, many by chance
#: Copies with 5 % noise reach .997, with 20 % .96; advertisers with half their variance in common .5 (shown in tests).
MIN_COSINE = 0.95
MOST_PAIRS = 100_000
KEPT = 0.75  # of the pairs, when they become too many: making room is rare, then


@dataclass(frozen=True, slots=True)
class SuspectPair:
    """Two advertisers who may be one."""

    ids: tuple[str, str]  # in alphabetical order
    auctions: int  # in which both took part and neither was indifferent
    cosine: float
    size_ratio: float  # the first's rewards over the second's, root mean squares
    lost_micros: float  # what the two as one would have been charged, less what they were; before rounding


@dataclass(slots=True)
class _Sums:
    """Over the shared auctions of x and y."""

    auctions: int = 0
    xy: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    sizes: float = 0.0  # |x|·|y|
    lost_micros: float = 0.0
    last_seen: int = 0

    @property
    def cosine(self) -> float:
        return max(-1.0, min(1.0, self.xy / self.sizes))


class SplittingWatch:
    """Sums for each pair of advertisers seen together; at most `most_pairs` of them are kept between auctions.

    Beyond that a quarter goes, those with the fewest shared auctions, of these the longest unseen; `evicted` counts
    them. A pair that comes back starts anew. Auctions of fewer than FEWEST_CANDIDATES different candidates say too
    little and are passed over.
    """

    def __init__(self, most_pairs: int = MOST_PAIRS) -> None:
        self.auctions = 0
        self.evicted = 0
        self._most_pairs = most_pairs
        self._pairs: dict[tuple[str, str], _Sums] = {}

    def __len__(self) -> int:
        """How many pairs are kept."""
        return len(self._pairs)

    def judged(self, min_auctions: int = MIN_AUCTIONS) -> int:
        """How many of them shared at least so many auctions."""
        return sum(sums.auctions >= min_auctions for sums in self._pairs.values())

    def add(self, rewards: Mapping[str, Floats], log_pi: Floats | None = None, tau: float = 0.0) -> None:
        """One auction: the rewards [M] of each advertiser that took part, micros. Raises InvalidAuction.

        With log_pi [M], the allocation that these rewards led to, and tau, the revenue that was lost is counted too.
        O(N²·M).
        """
        ids = sorted(rewards)
        centred = _centred([rewards[id_] for id_ in ids])
        if log_pi is not None and (log_pi.shape != centred.shape[1:] or not 0 < tau < math.inf):
            raise InvalidAuction(f"log_pi {log_pi.shape} must be [{centred.shape[1]}], and tau positive and finite")
        self.auctions += 1
        if len(ids) < 2 or len(np.unique(centred, axis=1).T) < FEWEST_CANDIDATES:
            return
        products = centred @ centred.T
        sizes = np.sqrt(products.diagonal())
        pairs = [(i, j) for i, j in combinations(range(len(ids)), 2) if sizes[i] > 0 and sizes[j] > 0]
        lost = _lost(centred, pairs, log_pi, tau)
        for (i, j), lost_micros in zip(pairs, lost.tolist(), strict=True):
            sums = self._pairs.setdefault((ids[i], ids[j]), _Sums())
            sums.auctions += 1
            sums.xy += float(products[i, j])
            sums.xx += float(products[i, i])
            sums.yy += float(products[j, j])
            sums.sizes += float(sizes[i] * sizes[j])
            sums.lost_micros += lost_micros
            sums.last_seen = self.auctions
        if len(self._pairs) > self._most_pairs:
            self._make_room()

    def suspects(self, min_auctions: int = MIN_AUCTIONS, min_cosine: float = MIN_COSINE) -> tuple[SuspectPair, ...]:
        """Pairs that shared at least so many auctions with at least such a cosine; the greatest loss first."""
        found = [
            SuspectPair(ids, sums.auctions, sums.cosine, math.sqrt(sums.xx / sums.yy), sums.lost_micros)
            for ids, sums in self._pairs.items()
            if sums.auctions >= min_auctions and sums.cosine >= min_cosine
        ]
        return tuple(sorted(found, key=lambda pair: (-pair.lost_micros, -pair.cosine, pair.ids)))

    def _make_room(self) -> None:
        def worth(pair: tuple[tuple[str, str], _Sums]) -> tuple[int, int, tuple[str, str]]:
            ids, sums = pair
            return -sums.auctions, -sums.last_seen, ids

        kept = sorted(self._pairs.items(), key=worth)[: int(KEPT * self._most_pairs)]
        self.evicted += len(self._pairs) - len(kept)
        self._pairs = dict(kept)


def _centred(rows: list[Floats]) -> Floats:
    """[N, M] rewards less their mean over the candidates, all that can matter: exactly 0 for an indifferent bidder."""
    if len({row.shape for row in rows}) > 1 or any(row.ndim != 1 for row in rows):
        raise InvalidAuction(f"rewards {[row.shape for row in rows]} must all be [M]")
    rewards = np.array(rows, dtype=np.float64).reshape(len(rows), -1 if rows else 0)
    if not np.isfinite(rewards).all():
        raise InvalidAuction("rewards must be finite")
    differences = rewards - rewards[:, :1]
    return np.asarray(differences - differences.sum(axis=1, keepdims=True) / max(1, rewards.shape[1]))


def _lost(centred: Floats, pairs: list[tuple[int, int]], log_pi: Floats | None, tau: float) -> Floats:
    """[K] τ·(KL(π ‖ π₋ᵢⱼ) − KL(π ‖ π₋ᵢ) − KL(π ‖ π₋ⱼ)) of each pair, micros; 0 where no allocation is given."""
    if log_pi is None or not pairs:
        return np.zeros(len(pairs))
    first, second = np.array(pairs).T
    shares = centred / tau
    alone = _influence(log_pi, shares)
    return np.asarray(tau * (_influence(log_pi, shares[first] + shares[second]) - alone[first] - alone[second]))


def _influence(log_pi: Floats, shares: Floats) -> Floats:
    """[K] KL(π ‖ π without a bid) in nats, for bids [K, M] over τ."""
    exponents = log_pi - (shares - (shares @ np.exp(log_pi))[:, None])
    top = np.maximum.reduce(exponents, axis=1)
    return np.asarray(top + np.log(np.add.reduce(np.exp(exponents - top[:, None]), axis=1)))
