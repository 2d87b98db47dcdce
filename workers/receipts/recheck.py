"""Receipts checked against themselves: what one holds must give the numbers it claims (mechanism/README §11)."""

import math
from collections.abc import Iterator, Sequence
from hashlib import sha256

import numpy as np

from schemas.draw import query_parts
from schemas.receipt import AdvertiserReceipt, AuctionReceipt, AuditorReceipt, ChargeTerms, PartyReceipt
from workers.mechanism.allocation import Allocation, allocate
from workers.mechanism.draw import U_BITS, WEIGHT_ONE, pick, uniform
from workers.receipts.build import digest

TOLERANCE = 1e-9  # of probabilities, and of charges relative to τ: far below a micro, far above rounding


def recheck(receipt: AuditorReceipt | AdvertiserReceipt) -> list[str]:
    """What does not fit, each as a sentence; empty: everything recomputes to what is claimed."""
    found: list[str] = []
    try:
        for problem in recheck_auditor(receipt) if isinstance(receipt, AuditorReceipt) else recheck_advertiser(receipt):
            found.append(problem)
    except ValueError as error:  # numbers that are no auction, or of different counts
        found.append(f"the numbers do not fit together: {error}")
    return found


def recheck_advertiser(receipt: AdvertiserReceipt) -> Iterator[str]:
    """The charge from π, π₋ᵢ and τ alone, and the draw as far as it can be repeated."""
    yield from _probabilities(receipt, "π₋ᵢ", receipt.probabilities_without, receipt.log_probabilities_without)
    nats = influence(receipt, receipt.log_probabilities_without)
    yield from _charge(receipt, receipt.charge, nats, receipt.advertiser.name)
    billed = receipt.charge.rounded_micros if receipt.carries_charge else 0
    if receipt.bill.charge_micros != billed:
        yield f"the bill is {receipt.bill.charge_micros} micros where the charge is {billed}"
    if receipt.bill.charge_micros > receipt.bill.bound_micros:
        yield f"the bill is above its bound of {receipt.bill.bound_micros} micros"
    yield from _auction(receipt)


def recheck_auditor(receipt: AuditorReceipt) -> Iterator[str]:
    """Everything: probabilities and charges from the logged numbers, hashes from the texts, the draw."""
    allocation = reallocate(receipt)
    yield from _near(receipt.probabilities, allocation.pi.tolist(), "π")
    for party, without, nats in zip(
        receipt.parties, np.exp(allocation.log_pi_without).tolist(), allocation.influence.tolist(), strict=True
    ):
        name = party.members[0].declaration.name
        yield from _near(party.probabilities_without, without, f"π without {name}")
        yield from _charge(receipt, party.charge, nats, name)
        yield from _bills(party)
    billed = sum(member.bill.charge_micros for party in receipt.parties for member in party.members)
    if billed != receipt.total_charge_micros:
        yield f"the bills sum to {billed} micros, not to {receipt.total_charge_micros}"
    yield from _texts(receipt)
    yield from _auction(receipt)


def reallocate(receipt: AuditorReceipt) -> Allocation:
    """π and each π₋ᵢ from the receipt's log_q, log_ref, rewards and τ."""
    log_q = np.array([candidate.log_q for candidate in receipt.candidates])
    log_ref = np.array([candidate.log_ref for candidate in receipt.candidates])
    rows = [
        np.add.reduce(np.array([member.declaration.rewards_micros for member in party.members]))
        for party in receipt.parties
    ]
    return allocate(log_q, log_ref, np.array(rows), receipt.tau_micros_per_nat)


def influence(receipt: AuctionReceipt, log_probabilities_without: Sequence[float]) -> float:
    """KL(π ‖ π₋ᵢ) = Σⱼ πⱼ·(ln πⱼ − ln π₋ᵢ,ⱼ) in nats."""
    pairs = zip(receipt.probabilities, receipt.log_probabilities, log_probabilities_without, strict=True)
    return math.fsum(probability * (with_ - without) for probability, with_, without in pairs if probability > 0)


def _charge(receipt: AuctionReceipt, charge: ChargeTerms, nats: float, name: str) -> Iterator[str]:
    tau = receipt.tau_micros_per_nat
    if abs(nats - charge.influence_nats) > TOLERANCE * (1 + charge.influence_nats):
        yield f"the influence of {name} recomputes to {nats!r} nats, not to {charge.influence_nats!r}"
    total = tau * charge.influence_nats
    if abs(total - charge.before_rounding_micros) > TOLERANCE * (1 + total):
        yield f"τ times the influence of {name} is {total!r} micros, not {charge.before_rounding_micros!r}"
    if round(charge.before_rounding_micros) != charge.rounded_micros:
        yield f"the charge of {name} rounds to {round(charge.before_rounding_micros)}, not {charge.rounded_micros}"


def _bills(party: PartyReceipt) -> Iterator[str]:
    payer, *others = party.members
    if payer.bill.charge_micros != party.charge.rounded_micros:
        yield f"{payer.declaration.name} is billed {payer.bill.charge_micros}, not {party.charge.rounded_micros} micros"
    if payer.bill.charge_micros > payer.bill.bound_micros:
        yield f"the bill of {payer.declaration.name} is above its bound of {payer.bill.bound_micros} micros"
    for member in others:
        if member.bill.charge_micros:
            yield f"{member.declaration.name} is billed too, although its party's first member pays"


def _texts(receipt: AuditorReceipt) -> Iterator[str]:
    for candidate in receipt.candidates:
        if digest(candidate.text) != candidate.text_sha256:
            yield f"the text of candidate {candidate.index} has another SHA-256"
    if [candidate.text for candidate in receipt.candidates if candidate.index == receipt.draw.chosen_index] != [
        receipt.reply
    ]:
        yield "the reply is not the text of the chosen candidate"


def _auction(receipt: AuctionReceipt) -> Iterator[str]:
    yield from _probabilities(receipt, "π", receipt.probabilities, receipt.log_probabilities)
    weights = [weight / WEIGHT_ONE for weight in receipt.draw.weights]
    yield from _near(weights, receipt.probabilities, "the draw's weights")
    yield from _draw(receipt)


def _draw(receipt: AuctionReceipt) -> Iterator[str]:
    draw = receipt.draw
    u = int(draw.u, 16)
    if pick(draw.weights, u) != draw.chosen_index:
        yield f"u falls on candidate {pick(draw.weights, u)}, not on {draw.chosen_index}"
    if draw.committed_key_sha256 not in (None, draw.key_sha256):
        yield "the draw used another key than was committed to"
    if draw.key is not None:
        key = bytes.fromhex(draw.key)
        if sha256(key).hexdigest() != draw.key_sha256:
            yield "the key is not the one whose hash the draw names"
        if uniform(key, receipt.auction_id, receipt.scored_sha256, query_parts(draw.query_record)) != u:
            yield f"the key gives another u of {U_BITS} bits"
    if draw.verification == "failed":
        yield "the draw could not be repeated with its key"


def _probabilities(
    receipt: AuctionReceipt, name: str, probabilities: Sequence[float], logarithms: Sequence[float]
) -> Iterator[str]:
    if len({len(receipt.draw.weights), len(probabilities), len(logarithms)}) != 1:
        yield f"{name} and the draw have different numbers of candidates"
        return
    yield from _near(probabilities, [math.exp(one) for one in logarithms], f"{name} and its logarithms")
    if abs(math.fsum(probabilities) - 1.0) > TOLERANCE:
        yield f"{name} sums to {math.fsum(probabilities)!r}, not to 1"


def _near(claimed: Sequence[float], found: Sequence[float], name: str) -> Iterator[str]:
    pairs = enumerate(zip(claimed, found, strict=True))
    worst = max(((abs(one - other), index) for index, (one, other) in pairs), default=(0.0, 0))
    if worst[0] > TOLERANCE:
        yield f"{name}: candidate {worst[1]} is off by {worst[0]:.3g}"
