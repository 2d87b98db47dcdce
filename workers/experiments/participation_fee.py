"""The participation-fee gate: who takes part when taking part costs a fee (mechanism/README §6).

Rewards count from their mean under the advert-free allocation π_∅ = softmax(w), so that being absent is worth 0:

    F(S) = τ·log Σⱼ π_∅,ⱼ exp(Σ_{i∈S} rᵢⱼ/τ) − fee·|S|           the set S that maximises F takes part
    pᵢ   = π_S·rᵢ − F(S) + F(S₋ᵢ)                                S₋ᵢ: the best set without i, for i in S; else 0
         = τ·KL(π_S ‖ π_{S∖i}) + fee + (F(S₋ᵢ) − F(S∖i))         the last term is ≥ 0, and 0 when S₋ᵢ = S∖i

This is the Clarke pivot of choosing S and π together. It is truthful for an advertiser that values its absence at
π_∅·rᵢ, the worth of the advert-free reply. With one advertiser that is the reply it gets: in exactly when
τ·KL(π_∅ ‖ π) ≥ fee. With several, an absent advertiser gets the others' reply, and if it values that one, lies can pay.
No gate for each advertiser escapes this: an absent rival values the reply at π_S·r, which the members of S can move, so
that their incentives and the rival's want the border between two sets at different places.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from workers.mechanism.allocation import Allocation, Floats, InvalidAuction, allocate

Members = NDArray[np.bool_]

MOST_EXACT = 10  # advertisers; 2¹⁰ sets are all tried
ROUNDING = 1e-12  # relative; values of F that differ by less are equal


@dataclass(frozen=True, slots=True)
class Gated:
    """Who takes part, at what price, and the allocation among those."""

    admitted: Members  # [N]
    charges: Floats  # [N] micros before rounding, fee included; 0 for who is not admitted
    allocation: Allocation  # of the admitted advertisers alone, in their order
    exact: bool  # False: found by greedy search, truthful only as far as that finds the best sets


def gate(log_q: Floats, log_ref: Floats, rewards: Floats, tau: float, fee: float) -> Gated:
    """Admit the set that maximises F and charge its Clarke pivot; fee in micros, ≥ 0. Raises InvalidAuction.

    Shapes and units as for `allocate`. A fee of 0 is no gate: everybody is in and pays τ·KL(π ‖ π₋ᵢ). (F with a fee
    near 0 may still leave out who is outbid by opposite wishes.) Every set is tried for N ≤ MOST_EXACT: O(2ᴺ·M);
    beyond, the search is greedy. Of equally good sets the smaller one wins, then the one of earlier advertisers.
    """
    if not 0 <= fee < np.inf:
        raise InvalidAuction("fee must be finite and not negative")
    everybody = allocate(log_q, log_ref, rewards, tau)
    if fee == 0:
        return Gated(np.ones(len(rewards), dtype=np.bool_), tau * everybody.influence, everybody, True)
    advert_free = allocate(log_q, log_ref, rewards[:0], tau)
    problem = _Problem(advert_free.log_pi, _above_advert_free(rewards, advert_free.pi) / tau, fee / tau)
    exact = len(rewards) <= MOST_EXACT
    admitted, without = _search_all(problem) if exact else _search_greedily(problem)
    allocation = allocate(log_q, log_ref, rewards[admitted], tau)
    charges = np.zeros(len(rewards))
    charges[admitted] = tau * (allocation.influence + _pivots(problem, admitted, without)) + fee
    return Gated(admitted, charges, allocation, exact)


def gated_charge_bound(least: int, largest: int, fee: int) -> int:
    """The most an advertiser can be charged behind a gate whose rewards lie in [least, largest]: Δ + fee, micros.

    Proof. Let T = S₋ᵢ, with rewards counted as in F. S is at least as good as T with i added, and by Jensen
    F(T∪i) = F(T) − fee + τ·log Σⱼ π_T,ⱼ exp(rᵢⱼ/τ) ≥ F(T) − fee + π_T·rᵢ. Hence
    pᵢ = π_S·rᵢ − F(S) + F(T) ≤ (π_S − π_T)·rᵢ + fee ≤ Δ + fee.

    When T = S∖i, pᵢ = τ·KL(π_S ‖ π_{S∖i}) + fee, so that `charge_bound` + fee = min(Δ, Δ²/8τ) + fee holds too. In
    general it does not: of two rivals with opposite wishes one takes part, and its pivot is the other's whole surplus.
    """
    return largest - least + fee


@dataclass(frozen=True, slots=True)
class _Problem:
    """F in nats."""

    log_pi: Floats  # [M] of the advert-free allocation
    shares: Floats  # [N, M] rewards over τ, with mean 0 under it
    fee: float  # nats

    def values(self, sets: Members) -> Floats:
        """[K] F/τ of K sets [K, N]; 0 for the empty one."""
        exponents = self.log_pi + sets @ self.shares
        top = np.maximum.reduce(exponents, axis=1)
        totals = np.add.reduce(np.exp(exponents - top[:, None]), axis=1)
        return np.asarray(top + np.log(totals) - self.fee * np.add.reduce(sets, axis=1))


def _above_advert_free(rewards: Floats, pi: Floats) -> Floats:
    """[N, M] rewards minus their means under π; taken from the first candidate, so that constants cost no digits."""
    differences = rewards - rewards[:, :1]
    return np.asarray(differences - (differences @ pi)[:, None])


def _pivots(problem: _Problem, admitted: Members, without: Members) -> Floats:
    """[K] (F(S₋ᵢ) − F(S∖i))/τ for the K admitted; exactly 0 where the two are the same set."""
    rest = _each_left_out(admitted)
    difference = problem.values(without) - problem.values(rest)
    return np.where((without == rest).all(axis=1), 0.0, np.maximum(difference, 0.0))


def _each_left_out(admitted: Members) -> Members:
    """[K, N] S∖i for each member of S."""
    return admitted & ~np.eye(len(admitted), dtype=np.bool_)[admitted]


def _search_all(problem: _Problem) -> tuple[Members, Members]:
    """The best of all sets [N], and the best without each of its K members [K, N]."""
    sets = _sets(len(problem.shares))
    values = problem.values(sets)
    best = sets[_first_of_the_best(values)]
    without = [_first_of_the_best(np.where(sets[:, member], -np.inf, values)) for member in np.flatnonzero(best)]
    return best, sets[without]


def _first_of_the_best(values: Floats) -> int:
    """The index of the largest value; of those that differ from it by rounding only, the first."""
    return int((values >= values.max() - _rounding(values.max())).argmax())


@lru_cache(MOST_EXACT + 1)
def _sets(n: int) -> Members:
    """[2ᴺ, N] all sets, smaller ones first, then those of earlier members."""
    chosen = [members for size in range(n + 1) for members in combinations(range(n), size)]
    sets = np.zeros((len(chosen), n), dtype=np.bool_)
    for row, members in enumerate(chosen):
        sets[row, list(members)] = True
    sets.flags.writeable = False
    return sets


def _search_greedily(problem: _Problem) -> tuple[Members, Members]:
    """As `_search_all`, from everybody on by single moves.

    A search without i that meets a better set, itself or with i added, starts the whole anew from there. So F(S) is at
    least F(S₋ᵢ) and F(S₋ᵢ∪i) for each i: nobody loses by taking part, and the bound on charges holds.
    """
    n = len(problem.shares)
    anyone = np.ones(n, dtype=np.bool_)
    current = _climb(problem, anyone, anyone)
    for _ in range(n):
        without, better = _climb_without_each(problem, current)
        if better is None:
            return current, without
        current = _climb(problem, better, anyone)
    return current, _climb_without_each(problem, current)[0]


def _climb_without_each(problem: _Problem, current: Members) -> tuple[Members, Members | None]:
    """The sets [K, N] found without each member of `current`, and one better than it, if they lead to any."""
    only = np.eye(len(current), dtype=np.bool_)[current]
    without = np.array([_climb(problem, current & ~one, ~one) for one in only], dtype=np.bool_).reshape(only.shape)
    found = np.concatenate([current[None], without, without | only])
    values = problem.values(found)
    best = int(values.argmax())
    return without, found[best] if _is_better(values[best], values[0]) else None


def _climb(problem: _Problem, start: Members, allowed: Members) -> Members:
    """Drop or add the allowed advertiser that raises F most, until none does; of equals a drop, then the earlier."""
    current, moves = start, np.eye(len(start), dtype=np.bool_)[allowed]
    for _ in range(len(start) ** 2):  # a limit: it ends after a few moves more than there are to drop
        drops, adds = current & ~moves[moves @ current], current | moves[~(moves @ current)]
        found = np.concatenate([current[None], drops, adds])
        values = problem.values(found)
        best = int(values.argmax())
        if not _is_better(values[best], values[0]):
            break
        current = found[best]
    return current


def _is_better(value: float, than: float) -> bool:
    return bool(value > than + _rounding(than))


def _rounding(value: float) -> float:
    return ROUNDING * max(1.0, abs(value))
