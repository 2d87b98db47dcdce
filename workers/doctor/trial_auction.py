"""One auction on an engine, by the stages' own workers: what it takes, and whether log q is what is scored again."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.auction import CandidatesGenerated, CandidatesScored
from schemas.envelope import Event, from_record
from schemas.query import Advertiser, QuerySubmitted
from schemas.record import Record
from schemas.reply import ReplySettled
from schemas.topics import QUERIES
from workers.app.models import Models
from workers.doctor.verdict import State
from workers.engines.base import Reply
from workers.errors import TesseraError
from workers.mechanism.epochs import EpochKey, epoch_key
from workers.pipeline import PATH, STAGES, Means, now
from workers.settings import DEMO_DRAW_KEY, Settings

Findings = tuple[State, str, str]

TOLERANCE_NATS = 1e-3  # of a whole reply, in 32-bit numbers
TOLERANCE_16_BIT_NATS = 0.02  # of a token: what 16-bit numbers and other batches do to it
QUESTION = "How do I begin with baking?"
MAX_OWN = 4  # advertisers with sources of their own that bid too: a prompt names all who bid
ADVERTISERS = (  # their ids are nobody's, so that these two bid through the engine whatever the others do
    Advertiser(
        advertiser_id="doctor-ovennest",
        name="OvenNest",
        description="selling baking ingredients",
        value_micros_per_nat=1_000,
    ),
    Advertiser(
        advertiser_id="doctor-crumbworks",
        name="CrumbWorks",
        description="a maker of kitchen tools",
        value_micros_per_nat=1_000,
    ),
)
COARSE = (
    "16-bit numbers and batches that differ do this; weights and charges are as uncertain. TESSERA_VLLM_DTYPE=float32 "
    "is exact and costs memory and time"
)
ABSTAINED = "auctions are held without them; what they bid through is for them to put right"
WRONG = (
    "more than rounding explains: charges rest on log q, so bill nothing on this engine. A server is started with "
    "--logprobs-mode processed_logprobs --generation-config vllm"
)


@dataclass(frozen=True)
class Held:
    """One auction that was held. Durations in seconds, by stage."""

    candidates: int
    tokens: int  # of all candidates
    advertisers: int
    abstained: tuple[str, ...]  # who, and why
    duration_s: dict[str, float]
    difference_nats: float  # the largest of a reply
    difference_of_token_nats: float  # the largest of a reply, divided by its tokens

    def duration(self) -> Findings:
        took = ", ".join(f"{stage} {seconds:.3f} s" for stage, seconds in self.duration_s.items())
        what = f"{self.candidates} candidates with {self.tokens} tokens, {self.advertisers} advertisers"
        if self.abstained:
            return State.WARNING, f"{what}: {took}; abstained: {', '.join(self.abstained)}", ABSTAINED
        return State.OK, f"{what}: {took}", ""

    def agreement(self) -> Findings:
        """Whether what was sampled has the log-probability that it was said to have."""
        said = f"log q and the same replies scored again differ by {self.difference_nats:.1e} nats at most"
        if self.difference_nats <= TOLERANCE_NATS:
            return State.OK, said, ""
        if self.difference_of_token_nats <= TOLERANCE_16_BIT_NATS:
            return State.WARNING, f"{said}, {self.difference_of_token_nats:.1e} a token", COARSE
        return State.FAILED, said, WRONG  # also where it is no number


class _PublicKeys:
    """The demonstration's keys of the draw: nobody is charged for this auction."""

    async def key(self, epoch: str | None, at: datetime | None = None) -> EpochKey:
        return epoch_key(DEMO_DRAW_KEY.get_secret_value().encode(), epoch)


async def hold_auction(models: Models, settings: Settings) -> Held:
    """Two advertisers, M and the longest reply as set; MAX_OWN of those with sources of their own bid too.

    TesseraError: an engine failed, or the auction is void.
    """
    rewards = models.sources.rewards if models.sources else None
    settings = settings.model_copy(update={"draw_key": DEMO_DRAW_KEY})
    means = Means(settings, models.reference, _PublicKeys(), models.context_aware, rewards, prompts=models.prompts)
    duration_s: dict[str, float] = {}
    bidders = (*ADVERTISERS, *_named(rewards.chosen if rewards else ()))
    events: list[Event[Any]] = [_query(bidders)]
    for stage in PATH:
        worker, began = STAGES[stage].build(means), time.perf_counter()
        events.append((await worker.handle(events[-1]))[0])
        duration_s[stage] = time.perf_counter() - began
    _, generated, scored, settled = events
    _check_outcome(scored.data, settled.data)
    differences, lengths = await _differences(models, bidders, generated.data)
    return Held(
        candidates=len(generated.data.candidates),
        tokens=int(lengths.sum()),
        advertisers=len(bidders),
        abstained=tuple(f"{one.advertiser_id} ({one.reason.name})" for one in scored.data.abstentions),
        duration_s=duration_s,
        difference_nats=float(differences.max()),
        difference_of_token_nats=float((differences / lengths).max()),
    )


def _named(ids: Iterable[str]) -> Iterator[Advertiser]:
    """The first of those, as if they bid."""
    for id_ in islice(ids, MAX_OWN):
        yield Advertiser(advertiser_id=id_, name=id_[:20], description="a shop", value_micros_per_nat=1_000)


def _query(bidders: tuple[Advertiser, ...]) -> Event[Any]:
    """As it would be read from its topic."""
    value = QuerySubmitted(query_id="doctor", text=QUESTION, advertisers=bidders, advertising_consent=True).encode()
    stamp_ms = int(now().timestamp() * 1_000)
    return from_record(Record(QUERIES.name, b"doctor", value, (), 0, 0, stamp_ms), QUERIES)


def _check_outcome(scored: CandidatesScored, settled: ReplySettled) -> None:
    if settled.outcome != "sold":
        reason = scored.void_reason.name if scored.void_reason else settled.outcome
        raise TesseraError(f"the auction came out {settled.outcome}: {reason}")


async def _differences(
    models: Models, bidders: Sequence[Advertiser], generated: CandidatesGenerated
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """[M] nats between log q and what each reply scores after the prompt it was drawn from; [M] the replies' tokens."""
    aware = generated.sampling.proposal == "context_aware"
    words = models.prompts
    turn = words.context_aware_turn(QUESTION, bidders) if aware else words.reference_turn(QUESTION)
    engine = (models.context_aware if aware else None) or models.reference
    replies = _replies(generated)
    again = await engine.log_probs(engine.encode(turn), replies)
    return np.abs(again - [reply.log_q for reply in replies]), np.array([len(reply.token_ids) for reply in replies])


def _replies(generated: CandidatesGenerated) -> Sequence[Reply]:
    return [
        Reply(candidate.token_ids, candidate.text, candidate.log_q, candidate.finished)
        for candidate in generated.candidates
    ]
