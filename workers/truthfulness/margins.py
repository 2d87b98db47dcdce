"""How far an auction is from breaking each theorem: one function per row of mechanism/README §5.

Every function takes (numbers, rule, rng) and returns a float; the larger, the worse. The unit is micros unless the
docstring says otherwise; a margin above the tolerance (workers/truthfulness/properties.py) is a violation.
Where a statement compares two auctions, a difference between probabilities counts as money: times Δ + τ, what can be
won or lost by it. Only candidates that the reference model can say (log_ref > −inf) enter the sums.
"""

import numpy as np

from workers.mechanism.allocation import Allocation, Floats, InvalidAuction, Numbers
from workers.truthfulness.misreports import find_misreport
from workers.truthfulness.rule import Priced, Rule, spreads, with_candidates, with_report, without

Generator = np.random.Generator
HALF_MICRO = 0.5  # what rounding once, half to even, may cost one side


def scale_micros(numbers: Numbers) -> float:
    """Δ + τ: the largest spread of an advertiser's rewards, plus the price of a nat."""
    return float(spreads(numbers.rewards).max(initial=0.0)) + numbers.tau


def distribution(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """The furthest that π (EC.1) or a π₋ᵢ is from a distribution: |Σ − 1|, or what is below 0. Unit: probability."""
    allocation = rule(numbers).allocation
    rows = np.vstack([allocation.pi, np.exp(allocation.log_pi_without)])
    return _largest(np.abs(rows.sum(axis=1) - 1.0).max(), -rows.min())


def truthful(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """The regret found of one advertiser drawn at random (Theorem 1): micros; of one in whole micros, all but 1."""
    found = find_misreport(numbers, int(rng.integers(len(numbers.rewards))), rule, rng)
    return _largest(found.gain_micros, found.gain_whole_micros - 1.0)


def no_deficit(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """The most that anybody is paid instead of charged, micros, before or after rounding."""
    priced = rule(numbers)
    return _largest(-priced.prices.min(), -min(priced.charges))


def participation(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """The most that taking part costs someone, against abstaining on the same candidates; rounding may cost 1/2."""
    priced = rule(numbers)
    brought = _brought(numbers, priced.allocation)
    return _loss(priced, brought)


def identity(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """Distance between the two sides of p = τ·KL(π‖π₋ᵢ), and of Δ expected reward = p + τ·KL(π₋ᵢ‖π)."""
    priced = rule(numbers)
    log_pi, log_without = _possible(numbers, priced.allocation)
    charged = numbers.tau * _divergence(log_pi, log_without)
    gained = numbers.tau * _divergence(log_without, log_pi)
    brought = _brought(numbers, priced.allocation)
    return _largest(np.abs(priced.prices - charged).max(), np.abs(brought - priced.prices - gained).max())


def lemma_1(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """Lemma 1, (5): distance between π·r_i − p_i and τ·log Σ π₋ᵢ·exp(r_i/τ); rewards from the first candidate's on."""
    priced = rule(numbers)
    possible = np.isfinite(numbers.log_ref)
    relative = (numbers.rewards - numbers.rewards[:, :1])[:, possible]
    exponents = priced.allocation.log_pi_without[:, possible] + relative / numbers.tau
    expected = numbers.tau * np.logaddexp.reduce(exponents, axis=1)
    return float(np.abs(relative @ priced.allocation.pi[possible] - priced.prices - expected).max())


def charge_bound(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """The most by which a price exceeds min(Δ_i, Δ_i²/8τ), or a charge that bound rounded up."""
    priced, spread = rule(numbers), spreads(numbers.rewards)
    bound = np.minimum(spread, spread * (spread / (8.0 * numbers.tau)))
    return _largest((priced.prices - bound).max(), (np.array(priced.charges) - np.ceil(bound)).max())


def shift(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """What changes when every advertiser's rewards move by a constant.

    The constant is added and taken off again before the comparison, so that both auctions differ by exactly the
    constant and no digit of a reward is lost between them: what remains is the rule's own doing.
    """
    size = np.exp2(np.ceil(np.log2(np.abs(numbers.rewards).max() + numbers.tau)))
    constants = size * np.where(np.arange(len(numbers.rewards)) % 2, -1.0, 1.0)[:, None]
    shifted = numbers.rewards + constants
    tau = numbers.tau
    there = rule(Numbers(numbers.log_q, numbers.log_ref, shifted, tau))
    here = rule(Numbers(numbers.log_q, numbers.log_ref, shifted - constants, tau))
    return _distance(numbers, there.allocation.pi, here.allocation.pi, there.prices, here.prices)


def order(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """What changes when candidates and advertisers are numbered in another order."""
    js, is_ = rng.permutation(len(numbers.log_q)), rng.permutation(len(numbers.rewards))
    here = rule(numbers)
    there = rule(Numbers(numbers.log_q[js], numbers.log_ref[js], numbers.rewards[is_][:, js], numbers.tau))
    return _distance(numbers, there.allocation.pi, here.allocation.pi[js], there.prices, here.prices[is_])


def duplicates(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """What changes when one candidate is listed twice, instead of once with log 2 more."""
    copied = int(rng.integers(len(numbers.log_q)))
    heavier = numbers.log_ref.copy()
    heavier[copied] += np.log(2.0)
    once = rule(Numbers(numbers.log_q, heavier, numbers.rewards, numbers.tau))
    twice = rule(with_candidates(numbers, [*range(len(numbers.log_q)), copied]))
    pi = twice.allocation.pi[:-1].copy()
    pi[copied] += twice.allocation.pi[-1]
    return _distance(numbers, pi, once.allocation.pi, twice.prices, once.prices)


def degenerate(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """The largest price for nothing (one candidate, identical ones, indifferent bidders), or |π − softmax(w)|·τ at N=0.

    The softmax is the textbook's, so a rule that weighs candidates by another density than `log_q` is seen here.
    """
    possible = int(numbers.log_ref.argmax())
    same = np.broadcast_to(numbers.rewards[:, possible, None], numbers.rewards.shape)
    indifferent = Numbers(numbers.log_q, numbers.log_ref, same, numbers.tau)
    paid = [
        _largest(one.prices.max(initial=0.0), *one.charges)
        for one in (
            rule(with_candidates(numbers, [possible])),
            rule(with_candidates(numbers, [possible] * len(numbers.log_q))),
            rule(indifferent),
        )
    ]
    nobody = rule(Numbers(numbers.log_q, numbers.log_ref, numbers.rewards[:0], numbers.tau)).allocation.pi
    w = numbers.log_ref - numbers.log_q
    expected = np.exp(w - np.logaddexp.reduce(w))
    return _largest(*paid, numbers.tau * np.abs(nobody - expected).max())


def almost_ir(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """Lemmas EC.1, EC.2: the most lost by anybody whose rewards start at 0, less 1/2 for rounding; |utility| at 0."""
    liked = numbers.rewards - numbers.rewards.min(axis=1, keepdims=True)
    priced = rule(Numbers(numbers.log_q, numbers.log_ref, liked, numbers.tau))
    nothing = rule(with_report(numbers, 0, np.zeros(len(numbers.log_q))))
    loss = _loss(priced, liked @ priced.allocation.pi)
    return _largest(loss, abs(nothing.prices[0]), abs(nothing.charges[0]))


def scale(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """What changes, in the old unit, when a third of the currency's unit becomes the unit of rewards and τ."""
    here = rule(numbers)
    there = rule(Numbers(numbers.log_q, numbers.log_ref, 3.0 * numbers.rewards, 3.0 * numbers.tau))
    return _distance(numbers, there.allocation.pi, here.allocation.pi, there.prices / 3.0, here.prices)


def absence(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """Distance between π₋ᵢ and the auction really held without i, for one advertiser drawn at random."""
    advertiser = int(rng.integers(len(numbers.rewards)))
    claimed = np.exp(rule(numbers).allocation.log_pi_without[advertiser])
    held = rule(without(numbers, advertiser)).allocation.pi
    return scale_micros(numbers) * float(np.abs(claimed - held).max())


def rounding(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """By how much a charge is further than 1/2 micro from its price: it is rounded once, half to even."""
    priced = rule(numbers)
    return float(np.abs(np.array(priced.charges) - priced.prices).max()) - HALF_MICRO


def missing(numbers: Numbers, rule: Rule, rng: Generator) -> float:
    """Distance between π and the auction without an advertiser of whom one reward is missing (NaN).

    0 when the rule refuses such numbers, as the product's does: whoever lacks a reward is out, before settlement.
    """
    advertiser, candidate = (int(rng.integers(size)) for size in numbers.rewards.shape)
    report = numbers.rewards[advertiser].copy()
    report[candidate] = np.nan
    try:
        filled = rule(with_report(numbers, advertiser, report)).allocation.pi
    except InvalidAuction:
        return 0.0
    out = rule(without(numbers, advertiser)).allocation.pi
    return scale_micros(numbers) * float(np.abs(filled - out).max())


def _largest(*margins: float) -> float:
    """The largest; NaN if one is, so that a rule cannot hide behind it."""
    return float(np.max(margins))


def _brought(numbers: Numbers, allocation: Allocation) -> Floats:
    """[N] (π − π₋ᵢ)·r_i: what taking part adds to the expected reward, micros."""
    relative = numbers.rewards - numbers.rewards[:, :1]
    return np.asarray(((allocation.pi - np.exp(allocation.log_pi_without)) * relative).sum(axis=1))


def _loss(priced: Priced, brought: Floats) -> float:
    """The largest payment above `brought`: before rounding, and what exceeds half a micro after it."""
    charged = np.array(priced.charges) - brought
    return _largest((priced.prices - brought).max(), charged.max() - HALF_MICRO)


def _possible(numbers: Numbers, allocation: Allocation) -> tuple[Floats, Floats]:
    """log π and log π₋ᵢ over the candidates that are possible; all are finite."""
    possible = np.isfinite(numbers.log_ref)
    return allocation.log_pi[possible], allocation.log_pi_without[:, possible]


def _divergence(log_p: Floats, log_q: Floats) -> Floats:
    """[N] KL(p ‖ q) in nats, the textbook sum; rows of either may be shared."""
    return np.asarray((np.exp(log_p) * (log_p - log_q)).sum(axis=1))


def _distance(numbers: Numbers, pi: Floats, other_pi: Floats, prices: Floats, other_prices: Floats) -> float:
    """The larger of the two differences, micros: of a price, or of a probability times Δ + τ."""
    moved = scale_micros(numbers) * float(np.abs(pi - other_pi).max())
    return _largest(moved, np.abs(prices - other_prices).max(initial=0.0))
