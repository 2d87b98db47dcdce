"""Receipts of one sold auction: the auditor's holds every number, the advertiser's its own. Documents, not events.

Whoever holds an advertiser's receipt can recompute its charge, p = τ·Σⱼ πⱼ·ln(πⱼ/π₋ᵢ,ⱼ), and repeat the draw once the
key of its epoch is revealed. It leaves out log_q and log_ref: their difference w together with π₋ᵢ would give away the
sum of the other advertisers' rewards. Whoever can run the same public reference model can still estimate w.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.auction import Abstention, Engine, PaymentRule, RewardOrigin, Rewards, Sampling, Tau
from schemas.draw import DrawAlgorithm, Epoch, QueryRecord
from schemas.payload import (
    MAX_ADVERTISERS,
    MAX_CANDIDATES,
    AdvertiserId,
    Charge,
    Currency,
    Digest,
    Identifier,
    LogProb,
    Micros,
    Moment,
    Part,
    Probability,
)
from schemas.query import CandidateCount, Question, TokenCount
from schemas.text import KnownName

CandidateIndex = Annotated[int, Field(ge=0, lt=MAX_CANDIDATES)]
Probabilities = Annotated[tuple[Probability, ...], Field(min_length=1, max_length=MAX_CANDIDATES)]
LogProbabilities = Annotated[
    tuple[Annotated[float, Field(le=0.0)], ...], Field(min_length=1, max_length=MAX_CANDIDATES)
]
Hexadecimal256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Verification = Literal["verified", "failed", "key_unknown"]


class DrawReceipt(Part):
    """How the reply was drawn: u·Σw < 2¹²⁸·Σ_{k≤j} w_k holds for the chosen j and for none before it."""

    algorithm: DrawAlgorithm
    epoch: Epoch | None = Field(default=None, description="Whose key it was; absent: the operator's key itself.")
    key_sha256: Digest = Field(description="SHA-256 of the key that was used, as the settled event names it.")
    committed_key_sha256: Digest | None = Field(
        default=None, description="The epoch's first commitment, which binds; absent: none was found."
    )
    committed_at: Moment | None = Field(default=None, description="When that commitment was published.")
    key: Hexadecimal256 | None = Field(
        default=None, description="The key, hexadecimal, if it is public: then anyone can recompute u."
    )
    query_record: QueryRecord | None = Field(default=None, description="What u was made from, in draw-v2.")
    u: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] = Field(
        description='First 128 bits of HMAC-SHA256(key, netstrings("draw-v1", auction_id, scored_sha256)), or, in '
        'draw-v2, of HMAC-SHA256(key, netstrings("draw-v2", ...query_record.origin, query_record.sha256)).'
    )
    weights: Annotated[tuple[Annotated[int, Field(ge=0, le=2**62)], ...], Field(max_length=MAX_CANDIDATES)] = Field(
        description="floor(πⱼ·2⁶²), at least 1 where πⱼ > 0."
    )
    chosen_index: CandidateIndex
    verification: Verification = Field(
        description="Whether u and the choice were recomputed with the key, or why not: it is not known yet."
    )


class ChargeTerms(Part):
    """What a charge is made of: τ·influence, rounded."""

    influence_nats: Annotated[float, Field(ge=0)] = Field(description="KL(π ‖ π₋ᵢ).")
    before_rounding_micros: Annotated[float, Field(ge=0)]
    rounded_micros: Charge = Field(description="Rounded once, half to even.")


class Bill(Part):
    """What one advertiser was billed, from its event on the billing topic."""

    charge_id: Digest
    charge_micros: Charge
    bound_micros: Charge = Field(description="The most the charge could have been, fixed before any bid was read.")


class Declaration(Part):
    """What one advertiser brought to the auction."""

    advertiser_id: AdvertiserId
    name: KnownName
    description_sha256: Digest = Field(description="SHA-256 of the description, UTF-8.")
    link_group: AdvertiserId | None = None
    value_micros_per_nat: Annotated[int, Field(ge=0, le=10**12)]
    reward_range_micros: tuple[Micros, Micros]
    clamped: Annotated[int, Field(ge=0)] = Field(description="How many rewards lay outside the declared range.")
    rewards_micros: Rewards = Field(description="What each candidate is worth to the advertiser, micros.")
    reward_origin: RewardOrigin | None = Field(
        default=None, description="What the rewards came from, where it is not the reference engine told to advertise."
    )


class CandidateReceipt(Part):
    """One candidate reply and its two log-probabilities."""

    index: CandidateIndex
    text: str
    text_sha256: Digest
    token_ids_sha256: Digest = Field(description="SHA-256 of the token ids in decimal, joined by commas.")
    tokens: TokenCount
    finished: bool
    log_q: LogProb = Field(description="Under the proposal that drew it, nats.")
    log_ref: LogProb = Field(description="Under the reference model, nats.")


class Member(Part):
    """An advertiser of a party, and its bill."""

    declaration: Declaration
    bill: Bill


class PartyReceipt(Part):
    """Advertisers that bid as one, mostly one alone; the first carries the charge."""

    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=MAX_ADVERTISERS)]
    probabilities_without: Probabilities = Field(description="π₋ᵢ: the same auction without this party.")
    log_probabilities_without: LogProbabilities
    charge: ChargeTerms


class AuctionReceipt(Part):
    """What both receipts say of the auction."""

    version: Literal[1] = 1
    query_id: Identifier
    auction_id: Digest
    submitted_at: Moment
    scored_sha256: Digest = Field(description="SHA-256 of the scored event's value: the numbers all follows from.")
    settled_sha256: Digest = Field(description="SHA-256 of the settled event's value: the reply that was given.")
    question: Question
    reply: str = Field(description="The reply as the user got it, whoever it names.")
    disclosure: str
    currency: Currency
    payment_rule: PaymentRule
    tau_micros_per_nat: Tau
    probabilities: Probabilities = Field(description="π: the chance of each candidate, all parties taking part.")
    log_probabilities: LogProbabilities = Field(description="ln π; holds where π itself is too small for a float.")
    draw: DrawReceipt


class AuditorReceipt(AuctionReceipt):
    """Everything: each probability, each charge and the choice can be recomputed from it."""

    kind: Literal["auditor"] = "auditor"
    engine: Engine
    reference_engine: Engine | None = Field(
        default=None, description="What log_ref comes from, where that is another engine."
    )
    sampling: Sampling
    candidates: Annotated[tuple[CandidateReceipt, ...], Field(min_length=1, max_length=MAX_CANDIDATES)]
    parties: Annotated[tuple[PartyReceipt, ...], Field(min_length=1, max_length=MAX_ADVERTISERS)]
    abstentions: Annotated[tuple[Abstention, ...], Field(max_length=MAX_ADVERTISERS)]
    total_charge_micros: Charge


class AdvertiserReceipt(AuctionReceipt):
    """What one advertiser is shown as proof of its charge: nothing of anybody else but their number."""

    kind: Literal["advertiser"] = "advertiser"
    candidate_count: CandidateCount
    advertiser: Declaration
    bill: Bill
    party_members: Annotated[int, Field(ge=1, le=MAX_ADVERTISERS)] = Field(
        description="How many advertisers bid as one with this one, itself included."
    )
    carries_charge: bool = Field(description="False: the party's first member is billed for it, this one nothing.")
    other_advertisers: Annotated[int, Field(ge=0, le=MAX_ADVERTISERS)] = Field(
        description="How many advertisers outside the party took part."
    )
    probabilities_without: Probabilities = Field(description="π₋ᵢ: the same auction without this party.")
    log_probabilities_without: LogProbabilities
    charge: ChargeTerms


Receipt = AuditorReceipt | AdvertiserReceipt
