"""log q, log π_ref and rewards of one auction computed again by the auditor's model: they must agree within a bound.

The model need not be the same program: the same weights in another engine agree as closely. Where rewards came from an
advertiser's adapter, model or probe, this model has nothing to say of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.auction import Bidder, CandidatesScored
from workers.audit.findings import Check, Kind
from workers.engines.base import Prompt, Scorer
from workers.model_audit.asked import (
    AuditModels,
    CannotCheck,
    ModelTally,
    find,
    other_prompts,
    proposal_prompt,
    reference_of,
    reference_prompt,
    reply_of,
    shown,
)

#: Engines with float32 agree on a reply within 1e-3 nats (tests/vllm/test_engines_agree.py), a reward is the difference
#: of two such numbers, and five times that is left for what was not tried. Half precision needs more.
TOLERANCE_NATS = 0.01
ROUNDING = 1e-12  # of a reward, which is stored as float64


@dataclass(frozen=True)
class Rescoring:
    """`tolerance`: nats that a number may be off by; a reward by so many times the advertiser's value per nat."""

    counted: ModelTally
    models: AuditModels
    tolerance: float = TOLERANCE_NATS

    async def check(self, scored: CandidatesScored) -> None:
        """Compute the auction's numbers again. EngineError: the model cannot be asked."""
        with self.counted.judging(Check.RESCORED, "prompt or replies"):
            await self._check(scored)

    async def _check(self, scored: CandidatesScored) -> None:
        reference, prompts = self.models.reference, self.models.prompts
        self._require_tokenizer(scored)
        self.models.require_words(scored.sampling.prompts, scored.scoring_prompts or scored.sampling.prompts)
        for what, logged, right in other_prompts(scored, reference, prompts):
            find(self.counted.tally, scored, Kind.OTHER_PROMPT, what, logged, right)
        await self._log_q(scored)
        if scored.log_ref:
            log_ref = await self._log_probs(scored, reference, reference_prompt(scored, reference, prompts))
            self._compare(scored, Kind.WRONG_LOG_REF, "log π_ref", scored.log_ref, log_ref, self.tolerance)
            for bidder in scored.advertisers:
                await self._rewards(scored, bidder, log_ref)
        self.counted.tally.checked[Check.RESCORED] += 1

    def _require_tokenizer(self, scored: CandidatesScored) -> None:
        logged, ours = scored.scoring_engine or reference_of(scored), self.models.reference.identity.in_event()
        if logged.tokenizer_sha256 != ours.tokenizer_sha256:
            raise CannotCheck(
                f"scored by {shown(logged)}, whose tokenizer is {logged.tokenizer_sha256[:12]}; that of "
                f"{shown(ours)} is {ours.tokenizer_sha256[:12]}: open a model of the same family with --engine"
            )
        if logged.model_sha256 != ours.model_sha256:
            self.counted.remark(f"scored by {shown(logged)}, computed again by {shown(ours)}: other weights, or a copy")

    async def _log_q(self, scored: CandidatesScored) -> None:
        """Under the proposal, which may be a model that the auditor has not opened."""
        proposal = self.models.reference if scored.reference_engine is None else self.models.proposal
        if proposal is None:
            self.counted.remark("log q comes from a model of its own: open it with TESSERA_PROPOSAL_ENGINE")
            return
        right = await self._log_probs(scored, proposal, proposal_prompt(scored, proposal, self.models.prompts))
        logged = [candidate.log_q for candidate in scored.candidates]
        self._compare(scored, Kind.WRONG_LOG_Q, "log q", logged, right, self.tolerance)

    async def _rewards(self, scored: CandidatesScored, bidder: Bidder, log_ref: Sequence[float]) -> None:
        logged = scored.rewards_micros.get(bidder.advertiser_id)
        if logged is None:
            return
        if origin := scored.reward_origins.get(bidder.advertiser_id):
            self.counted.remark(f"rewards from {origin.partition(':')[0]}, which the reference model cannot give")
            return
        reference, (least, most) = self.models.reference, bidder.reward_range_micros
        turn = self.models.prompts.advertiser_turn(scored.question.text, bidder)
        own = await self._log_probs(scored, reference, reference.encode(turn))
        value = bidder.value_micros_per_nat
        right = [min(most, max(least, value * (one - ref))) for one, ref in zip(own, log_ref, strict=True)]
        bound = self.tolerance * value + ROUNDING * max(map(abs, (*logged, *right)))
        self._compare(scored, Kind.WRONG_REWARD, "reward in micros", logged, right, bound, bidder.advertiser_id)

    async def _log_probs(self, scored: CandidatesScored, scorer: Scorer, prompt: Prompt) -> list[float]:
        """[M] nats, none above 0."""
        found = await scorer.log_probs(prompt, [reply_of(candidate) for candidate in scored.candidates])
        return [min(0.0, float(one)) for one in found]

    def _compare(
        self,
        scored: CandidatesScored,
        kind: Kind,
        what: str,
        logged: Sequence[float],
        right: Sequence[float],
        bound: float,
        who: str | None = None,
    ) -> None:
        """One finding for a row of numbers, of the candidate that is off by most."""
        off = [abs(one - other) for one, other in zip(logged, right, strict=True)]
        worst = max(range(len(off)), key=off.__getitem__)
        if not off[worst] <= bound:  # also where it is no number
            told = f"{what} of candidate {worst}"
            find(self.counted.tally, scored, kind, told, logged[worst], f"{right[worst]} ± {bound:g}", who)
