"""Candidates and fallback of one auction drawn again from the seeds that its event names: they must be equal."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.auction import Candidate, CandidatesScored
from workers.audit.findings import Check, Kind
from workers.engines.base import Engine, Prompt, Reply
from workers.model_audit.asked import (
    AuditModels,
    CannotCheck,
    ModelTally,
    find,
    other_prompts,
    proposal_prompt,
    reference_of,
    reference_prompt,
)

CONTRACT_NATS = 1e-3  # what a reply's log_q may differ by between two calls of one engine (tests/contracts)


@dataclass(frozen=True)
class Resampling:
    """`models`: an auction drawn by another one is counted and not judged."""

    counted: ModelTally
    models: AuditModels

    async def check(self, scored: CandidatesScored) -> None:
        """Draw the auction's replies again. EngineError: the model cannot be asked."""
        with self.counted.judging(Check.RESAMPLED, "the prompt"):
            await self._check(scored)

    async def _check(self, scored: CandidatesScored) -> None:
        if (seeds := scored.seeds) is None:
            raise CannotCheck("the event does not say its seeds: it is from an earlier release")
        self.models.require_words(scored.sampling.prompts)
        prompts = self.models.prompts
        drawer, reference = self.models.named(scored.engine), self.models.named(reference_of(scored))
        for what, logged, right in other_prompts(scored, drawer, prompts):
            find(self.counted.tally, scored, Kind.OTHER_PROMPT, what, logged, right)
        drawn = await _drawn(scored, drawer, proposal_prompt(scored, drawer, prompts), seeds.candidates)
        (last,) = await _drawn(scored, reference, reference_prompt(scored, reference, prompts), (seeds.fallback,))
        self.counted.tally.checked[Check.RESAMPLED] += 1
        for candidate, reply in zip(scored.candidates, drawn, strict=True):
            self._compare(scored, f"candidate {candidate.index}", candidate, reply)
        self._compare(scored, "the fallback", scored.fallback, last)

    def _compare(self, scored: CandidatesScored, which: str, logged: Candidate, right: Reply) -> None:
        """Token ids, text and end; log q as closely as two calls of one engine agree."""
        same = (logged.token_ids, logged.text, logged.finished) == (right.token_ids, right.text, right.finished)
        if not same:
            ids = f"{logged.text!r} ({_ids(logged.token_ids)})", f"{right.text!r} ({_ids(right.token_ids)})"
            find(self.counted.tally, scored, Kind.OTHER_CANDIDATE, f"{which}, drawn again from its seed", *ids)
        elif abs(logged.log_q - right.log_q) > CONTRACT_NATS:
            what = f"log q of {which}, drawn again, nats"
            find(self.counted.tally, scored, Kind.OTHER_CANDIDATE, what, logged.log_q, right.log_q)


async def _drawn(scored: CandidatesScored, engine: Engine, prompt: Prompt, seeds: Sequence[str]) -> tuple[Reply, ...]:
    numbers = [int(seed, 16) for seed in seeds]
    return await engine.sample(prompt, seeds=numbers, max_tokens=scored.sampling.max_tokens)


def _ids(token_ids: Sequence[int]) -> str:
    return f"{len(token_ids)} tokens, the first {', '.join(map(str, token_ids[:8]))}"
