"""Scoring: every candidate gets its log-probability under the reference model and a reward for each advertiser."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from schemas import auction
from schemas.auction import Abstention, Bidder, CandidatesGenerated, CandidatesScored, PaymentRule
from schemas.envelope import Event
from schemas.reasons import AbstentionReason, VoidReason
from workers.engines.base import Engine, Reply
from workers.engines.calls import all_of, despite_outages, within, work_for_query_of
from workers.engines.prompts import PAPER, Prompts
from workers.errors import (
    AuctionVoid,
    EngineError,
    EngineGone,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    OwnModelDown,
    RetriesExhausted,
)
from workers.mechanism.epochs import epoch_of
from workers.rewards.base import Candidates, RewardSource

SOURCE = "scoring"


@dataclass(frozen=True, slots=True)
class Terms:
    """The operator's terms of every auction."""

    tau_micros_per_nat: int
    currency: str
    payment_rule: PaymentRule


@dataclass(frozen=True, slots=True)
class Bid:
    """One advertiser's rewards over the M candidates, micros, inside its declared range."""

    rewards: NDArray[np.float64]  # [M]
    clamped: int


@dataclass(frozen=True, slots=True)
class Scores:
    """What scoring found. An auction that is void has neither log_ref nor bids."""

    log_ref: tuple[float, ...] = ()
    bids: Mapping[str, Bid] = field(default_factory=dict)
    abstentions: tuple[Abstention, ...] = ()
    void_reason: VoidReason | None = None


@dataclass(frozen=True, slots=True)
class Scoring:
    """CandidatesGenerated -> CandidatesScored."""

    engine: Engine
    reward_source: RewardSource
    terms: Terms
    now: Callable[[], datetime]
    origin: Callable[[str], str | None] = lambda _: None  # of an advertiser's rewards, where it is not the default
    has_source: Callable[[str], bool] = lambda _: False  # whether an advertiser's rewards come from one of its own
    own_time: timedelta = timedelta(seconds=60)  # for an auction whose query states no deadline, from when it is read
    prompts: Prompts = PAPER

    async def handle(self, event: Event[CandidatesGenerated]) -> Sequence[Event[CandidatesScored]]:
        began, generated = self.now(), event.data
        work_for_query_of(generated.received_at or event.recorded_at or began)
        scores = await self._scores(generated)
        finished = self.now()
        known = {name: getattr(generated, name) for name in CandidatesGenerated.model_fields}
        scored = CandidatesScored(
            **{**known, "abstentions": generated.abstentions + scores.abstentions},
            generated_sha256=event.digest,
            log_ref=scores.log_ref,
            scoring_engine=self._other_engine(generated) if scores.log_ref else None,
            scoring_prompts=self._other_prompts(generated) if scores.log_ref else None,
            rewards_micros={id_: tuple(bid.rewards.tolist()) for id_, bid in scores.bids.items()},
            reward_origins={id_: origin for id_ in scores.bids if (origin := self.origin(id_))},
            clamped={id_: bid.clamped for id_, bid in scores.bids.items() if bid.clamped},
            tau_micros_per_nat=self.terms.tau_micros_per_nat,
            currency=self.terms.currency,
            payment_rule=self.terms.payment_rule,
            draw_epoch=epoch_of(finished),
            void_reason=scores.void_reason,
            scoring_duration_s=max(0.0, (finished - began).total_seconds()),
        )
        return (event.follow(scored, source=SOURCE, auction_id=generated.auction_id, time=finished),)

    def _other_engine(self, generated: CandidatesGenerated) -> auction.Engine | None:
        """Ours, if the fallback comes from another: stages are updated one after the other."""
        ours = self.engine.identity.in_event()
        return None if ours == (generated.reference_engine or generated.engine) else ours

    def _other_prompts(self, generated: CandidatesGenerated) -> auction.PromptVersion | None:
        """Ours, if the fallback was asked for in other words."""
        return None if self.prompts.used == (generated.sampling.prompts or PAPER.used) else self.prompts.used

    async def _scores(self, generated: CandidatesGenerated) -> Scores:
        if not generated.candidates:
            return Scores()
        if generated.engine.tokenizer_sha256 != self.engine.identity.tokenizer_sha256:
            return Scores(void_reason=VoidReason.OTHER_TOKENIZER)
        try:
            return await self._scores_by(generated.stated_deadline, generated)
        except EngineTimeout:
            return Scores(void_reason=VoidReason.DEADLINE_PASSED)
        except (EngineRejected, RetriesExhausted):
            return Scores(void_reason=VoidReason.REFERENCE_NOT_SCORED)
        except AuctionVoid as void:
            return Scores(void_reason=void.reason)

    async def _scores_by(self, stated: datetime | None, generated: CandidatesGenerated) -> Scores:
        """What is found until the stated deadline, or, where nobody stated one, in this stage's own time."""
        if stated is not None:
            return await self._all_scores(generated, stated)
        return await despite_outages(lambda: self._all_scores(generated, self.now() + self.own_time), (self.engine,))

    async def _all_scores(self, generated: CandidatesGenerated, deadline: datetime) -> Scores:
        replies = _replies(generated)
        log_ref = await self._log_ref(generated, replies, deadline)
        candidates = Candidates(generated.question.text, replies, log_ref, self.prompts, generated.advertisers)
        results = await all_of(self._bid(candidates, advertiser, deadline) for advertiser in generated.advertisers)
        return _collect(generated.advertisers, results, log_ref)

    async def _log_ref(
        self, generated: CandidatesGenerated, replies: Sequence[Reply], deadline: datetime
    ) -> NDArray[np.float64]:
        """[M] nats. An engine that is down is not the auction's fault: what it raises propagates, as all else does."""
        prompt = self.engine.encode(self.prompts.reference_turn(generated.question.text))
        async with within(deadline - self.now()):
            log_ref = await self.engine.log_probs(prompt, replies)
        if not np.isfinite(log_ref).all():
            raise AuctionVoid(VoidReason.REFERENCE_NOT_SCORED)
        return np.minimum(log_ref, 0.0)

    async def _bid(self, candidates: Candidates, advertiser: Bidder, deadline: datetime) -> Bid | AbstentionReason:
        """The advertiser's bid, or why it has none: one advertiser's failure never becomes another's."""
        if advertiser.reward_source is not None and not self.has_source(advertiser.advertiser_id):
            return AbstentionReason.OTHER_REWARD_SOURCE
        try:
            async with within(deadline - self.now()):
                rewards = await self.reward_source.rewards(candidates, advertiser)
        except EngineTimeout:
            return AbstentionReason.DEADLINE_PASSED
        except EngineRejected:
            return AbstentionReason.PROMPT_REJECTED
        except OwnModelDown:
            return AbstentionReason.OWN_MODEL_DOWN
        except (EngineUnavailable, EngineGone):
            raise  # the engine is everybody's: the auction waits for it, or for another process
        except EngineError:
            return AbstentionReason.ENGINE_FAILED
        return _clamp(rewards, advertiser)


def _replies(generated: CandidatesGenerated) -> tuple[Reply, ...]:
    return tuple(
        Reply(candidate.token_ids, candidate.text, candidate.log_q, candidate.finished)
        for candidate in generated.candidates
    )


def _clamp(rewards: NDArray[np.float64], advertiser: Bidder) -> Bid | AbstentionReason:
    if not np.isfinite(rewards).all():
        return AbstentionReason.REWARD_NOT_FINITE
    inside = np.clip(rewards, *advertiser.reward_range_micros)
    return Bid(inside, int((inside != rewards).sum()))


def _collect(
    advertisers: Sequence[Bidder], results: Sequence[Bid | AbstentionReason], log_ref: NDArray[np.float64]
) -> Scores:
    bids: dict[str, Bid] = {}
    abstentions: list[Abstention] = []
    for advertiser, result in zip(advertisers, results, strict=True):
        if isinstance(result, Bid):
            bids[advertiser.advertiser_id] = result
        else:
            abstentions.append(Abstention(advertiser_id=advertiser.advertiser_id, reason=result))
    if not bids:
        return Scores(abstentions=tuple(abstentions), void_reason=VoidReason.ALL_ABSTAINED)
    return Scores(tuple(log_ref.tolist()), bids, tuple(abstentions))
