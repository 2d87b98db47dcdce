"""The events that stages make of a query, up to the scored candidates. Each holds all that the next stage needs."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.draw import Epoch, QueryRecord, Seeds
from schemas.identity import derive
from schemas.payload import (
    MAX_ADVERTISERS,
    MAX_CANDIDATE_TOKENS,
    MAX_CANDIDATES,
    MAX_TOKENS,
    AdvertiserId,
    Currency,
    Digest,
    Identifier,
    LogProb,
    Micros,
    Moment,
    Part,
    Payload,
)
from schemas.query import Advertiser, ConsentString, Question, TokenCount
from schemas.reasons import AbstentionReason, VoidReason

Proposal = Literal["context_aware", "reference"]
AnyProposal = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
PaymentRule = Literal["offset"]
TokenIds = Annotated[tuple[int, ...], Field(min_length=1, max_length=MAX_TOKENS)]  # an engine checks its vocabulary
Rewards = Annotated[tuple[Annotated[float, Field(ge=-5e14, le=5e14)], ...], Field(max_length=MAX_CANDIDATES)]
#: `KIND:` and what the kind says; readers take kinds that they do not know as they are: they decide nothing.
RewardOrigin = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}:[!-~][ -~]{0,299}$")]
#: What an operator calls a set of words for its prompts.
VersionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
Tau = Annotated[int, Field(ge=1, le=10**12, description="Weight of the reference model, micros per nat.")]


def _is_none(value: object) -> bool:
    return value is None


class Candidate(Part):
    """One sampled reply; `log_q` is exact for the distribution it was drawn from."""

    index: Annotated[int, Field(ge=0, lt=MAX_CANDIDATES)]
    token_ids: TokenIds
    text: str
    log_q: LogProb = Field(description="Log-probability under the proposal, nats, summed over all token_ids.")
    finished: bool = Field(description="True: the last token ends the reply. False: cut at max_tokens.")


class Bidder(Advertiser):
    """An advertiser that takes part: a snapshot in which nothing is left open."""

    reward_range_micros: tuple[Micros, Micros]
    profile_version: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Version of its profile in the registry; none where the query brought the advertiser."
    )
    reward_source: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")] | None = Field(
        default=None, description="Kind of the source that its profile names for its rewards; none: `prompt`."
    )


class Abstention(Part):
    """An advertiser without influence on this auction, and why."""

    advertiser_id: AdvertiserId
    reason: AbstentionReason


class Engine(Part):
    """Which model answered, precise enough to load the same one again."""

    name: str
    version: str
    model_sha256: Digest
    tokenizer_sha256: Digest


class PromptVersion(Part):
    """The words that models were asked in, by the operator's name for them and by their digest."""

    version: VersionName
    sha256: Digest = Field(description="SHA-256 of the templates and the system line, as JSON with sorted names.")


class Sampling(Part):
    """How the candidates were drawn."""

    proposal: AnyProposal = Field(description="`context_aware` or `reference`; a newer release may name another.")
    temperature: float
    top_p: float
    max_tokens: TokenCount
    proposal_prompt_sha256: Digest
    reference_prompt_sha256: Digest
    prompts: PromptVersion | None = Field(
        default=None,
        exclude_if=_is_none,
        description="Whose words the prompts are in (`TESSERA_PROMPTS_FILE`); absent where they are the paper's.",
    )


class Consent(Part):
    """What the query said of its user's consent, and what generation took that for."""

    advertising: bool = Field(description="Whether the query consents to advertising; one that does not say does not.")
    gpp: ConsentString | None = Field(default=None, description="The query's, as it was.")
    tcf: ConsentString | None = Field(default=None, description="The query's, as it was.")


class CandidatesGenerated(Payload):
    """The model's candidate replies and the advert-free reply that is returned if no auction is held."""

    event_type: ClassVar[str] = "auction.candidates.generated.v1"

    query_id: Identifier
    auction_id: Digest
    submitted_at: Moment = Field(description="When the query says that it was sent: its producer's clock, or nobody's.")
    received_at: Moment | None = Field(
        default=None,
        description="When the broker took the query, or, where its topic keeps producers' stamps, when generation read "
        "it: what priority and latency are counted from. Absent in the first events.",
    )
    deadline: Moment = Field(description="Whether it binds anybody, `deadline_stated` says.")
    deadline_stated: bool | None = Field(
        default=None,
        description="True: whoever asks stated the deadline; an auction whose scored event the broker takes later is "
        "void. False: nobody did, and no stage is held to it. Absent in the first events.",
    )
    query_record: QueryRecord | None = Field(
        default=None,
        description="The record of the query: what the draw depends on besides the key. Absent in the first events.",
    )
    consent: Consent | None = Field(
        default=None,
        description="Absent in the first events, when a query that did not say consented to advertising.",
    )
    seeds: Seeds | None = Field(
        default=None, description="What candidates and fallback were drawn with. Absent in the first events."
    )
    question: Question
    advertisers: Annotated[tuple[Bidder, ...], Field(max_length=MAX_ADVERTISERS)]
    abstentions: Annotated[tuple[Abstention, ...], Field(max_length=MAX_ADVERTISERS)]
    engine: Engine = Field(description="What the candidates were drawn from; without any, what the fallback was.")
    reference_engine: Engine | None = Field(
        default=None, description="What the fallback comes from, and log_ref too, where that is another engine."
    )
    sampling: Sampling
    candidates: Annotated[tuple[Candidate, ...], Field(max_length=MAX_CANDIDATES)] = Field(
        description="Independent draws, in the order they were numbered; empty when no advertiser takes part."
    )
    fallback: Candidate = Field(description="One more draw, from the reference model: the advert-free reply.")

    @property
    def stated_deadline(self) -> datetime | None:
        """The deadline, unless it is known that nobody stated it; the first events did not say."""
        return None if self.deadline_stated is False else self.deadline

    @model_validator(mode="after")
    def _id_is_derived(self) -> Self:
        record = self.query_record
        if record is not None and self.auction_id != derive("auction", *record.origin, self.query_id):
            raise ValueError("auction_id: not the one that derives from query_record and query_id")
        return self

    @model_validator(mode="after")
    def _candidates_are_numbered(self) -> Self:
        if [candidate.index for candidate in self.candidates] != list(range(len(self.candidates))):
            raise ValueError("candidates: the indices must count from 0")
        if sum([len(candidate.token_ids) for candidate in self.candidates]) > MAX_CANDIDATE_TOKENS:
            raise ValueError(f"candidates: more than {MAX_CANDIDATE_TOKENS} tokens in all")
        if self.seeds is not None and len(self.seeds.candidates) != len(self.candidates):
            raise ValueError("seeds: there must be one for each candidate")
        return self


class CandidatesScored(CandidatesGenerated):
    """Every number of the auction: settlement, audit and replay need nothing else but the draw's key."""

    event_type: ClassVar[str] = "auction.candidates.scored.v1"

    generated_sha256: Digest | None = Field(
        default=None,
        description="SHA-256 of the generated event's value: the event that was scored. Absent in the first events.",
    )
    log_ref: Annotated[tuple[LogProb, ...], Field(max_length=MAX_CANDIDATES)] = Field(
        description="Log-probability of each candidate under the reference model, nats; empty when void."
    )
    rewards_micros: Annotated[dict[AdvertiserId, Rewards], Field(max_length=MAX_ADVERTISERS)] = Field(
        description="What each candidate is worth to each advertiser that takes part, micros."
    )
    clamped: Annotated[dict[AdvertiserId, int], Field(max_length=MAX_ADVERTISERS)] = Field(
        description="How many rewards of an advertiser lay outside its declared range; only those above 0."
    )
    reward_origins: Annotated[dict[AdvertiserId, RewardOrigin], Field(max_length=MAX_ADVERTISERS)] = Field(
        default_factory=dict,
        description="What the rewards of a bidder came from, where it is not the reference engine told to advertise: "
        "`lora:ADAPTER@sha256`, `model:NAME@sha256`, or `linear_probe:sha256 of the weights@sha256 of the model`.",
    )
    scoring_engine: Engine | None = Field(
        default=None, description="What log_ref comes from, where that is not what the fallback comes from."
    )
    scoring_prompts: PromptVersion | None = Field(
        default=None,
        exclude_if=_is_none,
        description="The words that log_ref and rewards were asked for in, where generation used others.",
    )
    tau_micros_per_nat: Tau
    currency: Currency
    payment_rule: PaymentRule
    draw_epoch: Epoch | None = Field(
        default=None, description="Names the key of the draw. Absent in the first events: the operator's key itself."
    )
    void_reason: VoidReason | None = None
    scoring_duration_s: Annotated[float, Field(ge=0)]

    @property
    def is_held(self) -> bool:
        """Whether there is an auction to settle: somebody bids, and it is not void."""
        return bool(self.rewards_micros) and self.void_reason is None

    @model_validator(mode="after")
    def _numbers_fit_together(self) -> Self:
        lengths = {len(self.log_ref), *(len(rewards) for rewards in self.rewards_micros.values())}
        if self.is_held and (lengths != {len(self.candidates)} or not self.candidates):
            raise ValueError("log_ref and every advertiser's rewards must have one number for each candidate")
        if not set(self.rewards_micros) <= {advertiser.advertiser_id for advertiser in self.advertisers}:
            raise ValueError("rewards_micros: an id that is not among the advertisers")
        if not set(self.reward_origins) <= set(self.rewards_micros):
            raise ValueError("reward_origins: an id without rewards")
        return self
