"""Generation: a query becomes M candidate replies and one advert-free reply to fall back on."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from schemas import auction
from schemas.auction import Abstention, Bidder, Candidate, CandidatesGenerated, Proposal
from schemas.draw import QueryRecord, Seeds
from schemas.envelope import Event
from schemas.identity import derive
from schemas.payload import MAX_CANDIDATE_TOKENS, MAX_CANDIDATES, MAX_TOKENS
from schemas.query import Advertiser, Parameters, QuerySubmitted, Question
from schemas.reasons import AbstentionReason, DeadLetterReason
from schemas.text import reads_as_a_sentence
from workers.advertisers.admission import NOBODY, Admission
from workers.advertisers.bidders import bidder, registered_bidder
from workers.engines.base import Engine, Prompt, Reply, check_sampling
from workers.engines.calls import all_of, despite_outages, within, work_for_query_of
from workers.engines.prompts import PAPER, Prompts
from workers.errors import EngineRejected, EngineTimeout, Refused, RetriesExhausted
from workers.seeds import SamplingKeys, make_seeds, numbers

SOURCE = "generation"


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's choices for generation."""

    proposal: Proposal
    candidates: int
    max_tokens: int
    deadline: timedelta  # this stage's time for a query that states none: an outage must not expire a backlog
    reward_limit_nats: float
    sampling_keys: SamplingKeys
    window: timedelta = timedelta(days=7)  # older queries are not answered: their ids may have been forgotten
    candidates_range: tuple[int, int] = (2, MAX_CANDIDATES)  # a query gets no more, and no adverts below the least
    tokens_range: tuple[int, int] = (1, MAX_TOKENS)  # likewise
    inline: bool = True  # whether a query may bring advertisers who are not registered

    def is_below_floor(self, wanted: Parameters) -> bool:
        """Whether a query asks for less than adverts are sold with. What it leaves to the operator is enough."""
        asked = (wanted.candidates, self.candidates_range), (wanted.max_tokens, self.tokens_range)
        return any(number is not None and number < least for number, (least, _) in asked)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be sampled for one query."""

    proposal: Proposal
    proposal_engine: Engine
    proposal_prompt: Prompt
    reference_prompt: Prompt
    candidates: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Generation:
    """QuerySubmitted -> CandidatesGenerated. Raises Refused for a query that cannot be answered."""

    engine: Engine
    policy: Policy
    now: Callable[[], datetime]
    context_aware: Engine | None = None  # what the context-aware proposal is drawn from, where it is not `engine`
    registry: Admission = NOBODY
    prompts: Prompts = PAPER

    async def handle(self, event: Event[QuerySubmitted]) -> Sequence[Event[CandidatesGenerated]]:
        received, stated = event.recorded_at or self.now(), event.expiry_time
        work_for_query_of(received)
        self._refuse_late(event)
        auction_id = derive("auction", *event.origin, event.subject)
        bidders, abstentions = self._admit(event.data, event.subject, received)
        plan = self._plan(event.data, bidders)
        seeds = make_seeds(await self.policy.sampling_keys.sampling_key(), auction_id, plan.candidates)
        replies, fallback = await self._sample_by(stated, plan, seeds)
        generated = CandidatesGenerated(
            query_id=event.subject,
            auction_id=auction_id,
            submitted_at=event.time,
            received_at=received,
            deadline=stated or self.now() + self.policy.deadline,
            deadline_stated=stated is not None,
            query_record=QueryRecord(origin=event.origin, sha256=event.digest) if event.origin else None,
            consent=_consent(event.data),
            seeds=seeds,
            question=_question(event.data),
            advertisers=bidders,
            abstentions=abstentions,
            engine=plan.proposal_engine.identity.in_event(),
            reference_engine=self.engine.identity.in_event() if plan.proposal_engine is not self.engine else None,
            sampling=_sampling(plan, self.prompts),
            candidates=tuple(_candidate(index, reply) for index, reply in enumerate(replies)),
            fallback=_candidate(0, fallback),
        )
        return (event.follow(generated, source=SOURCE, auction_id=auction_id, time=self.now()),)

    def _refuse_late(self, event: Event[QuerySubmitted]) -> None:
        """Refused, EXPIRED: nobody waits for the reply, or settlement will not know whether there was one before."""
        stated, stamped = event.expiry_time, event.recorded_at or event.stamped_at
        if stated is not None and stated <= self.now():
            raise Refused(
                DeadLetterReason.EXPIRED, f"the deadline {stated.isoformat()} had passed when the query was read"
            )
        if stamped is not None and stamped < self.now() - self.policy.window:
            whose = "the broker" if event.recorded_at else "its producer (a wrong clock, or seconds for milliseconds?)"
            raise Refused(
                DeadLetterReason.EXPIRED,
                f"the record was stamped {stamped.isoformat()} by {whose}. Queries older than "
                f"{self.policy.window.days} days are not settled, as their ids may be forgotten "
                "(TESSERA_ID_WINDOW_DAYS): ask again under a new id",
            )

    def _admit(
        self, query: QuerySubmitted, query_id: str, at: datetime
    ) -> tuple[tuple[Bidder, ...], tuple[Abstention, ...]]:
        """Who takes part and who does not, by rules that read no bid: first whom the query brings, then registered."""
        barred = self._barred(query)
        inline = {one.advertiser_id: barred or self._exclusion(query, one) for one in query.advertisers}
        registered = self.registry.admit(query, query_id, at, barred)
        limit = self.policy.reward_limit_nats
        brought = (bidder(one, limit) for one in query.advertisers if inline[one.advertiser_id] is None)
        bidders = (*brought, *(registered_bidder(one, limit) for one in registered.profiles))
        reasons = {**inline, **registered.reasons}
        return bidders, tuple(Abstention(advertiser_id=id_, reason=reason) for id_, reason in reasons.items() if reason)

    def _barred(self, query: QuerySubmitted) -> AbstentionReason | None:
        """Why nobody bids on a query."""
        if not query.advertising_consent:
            return AbstentionReason.NO_CONSENT
        return AbstentionReason.BELOW_FLOOR if self.policy.is_below_floor(query.parameters) else None

    def _exclusion(self, query: QuerySubmitted, advertiser: Advertiser) -> AbstentionReason | None:
        """Why an advertiser that the query brings may not bid. A registered one bids by its profile alone."""
        if not self.policy.inline or self.registry.is_registered(advertiser.advertiser_id):
            return AbstentionReason.INLINE_FORBIDDEN
        if set(advertiser.categories) & set(query.blocked_categories):
            return AbstentionReason.BLOCKED_CATEGORY
        return AbstentionReason.MISLEADING_NAME if reads_as_a_sentence(advertiser.name) else None

    def _plan(self, query: QuerySubmitted, bidders: Sequence[Bidder]) -> Plan:
        """Prompts and numbers of this auction; Refused when the question itself does not fit the model."""
        (_, most), (_, longest) = self.policy.candidates_range, self.policy.tokens_range
        candidates = min(query.parameters.candidates or self.policy.candidates, most)
        max_tokens = min(
            query.parameters.max_tokens or self.policy.max_tokens, longest, MAX_CANDIDATE_TOKENS // candidates
        )
        reference = self.engine.encode(self.prompts.reference_turn(query.text))
        if problem := _problem(reference, max_tokens, self.engine):
            raise Refused(DeadLetterReason.ENGINE_REJECTED, f"the question does not fit the model: {problem}")
        plan = Plan("reference", self.engine, reference, reference, candidates if bidders else 0, max_tokens)
        return self._context_aware(query.text, bidders, plan)

    def _context_aware(self, question: str, bidders: Sequence[Bidder], plan: Plan) -> Plan:
        """The proposal; the reference model where the names of all bidders together do not fit the model's context."""
        engine = self.context_aware or self.engine
        if self.policy.proposal == "context_aware" and bidders:
            prompt = engine.encode(self.prompts.context_aware_turn(question, bidders))
            if not _problem(prompt, plan.max_tokens, engine):
                return replace(plan, proposal="context_aware", proposal_engine=engine, proposal_prompt=prompt)
        return plan

    async def _sample_by(self, stated: datetime | None, plan: Plan, seeds: Seeds) -> tuple[Sequence[Reply], Reply]:
        """What is drawn until the stated deadline, or, where nobody stated one, in this stage's own time."""
        try:
            if stated is not None:
                return await self._sample(plan, seeds, stated - self.now())
            return await despite_outages(
                lambda: self._sample(plan, seeds, self.policy.deadline), {self.engine, plan.proposal_engine}
            )
        except EngineTimeout:
            raise Refused(DeadLetterReason.EXPIRED, "the deadline passed while candidates were generated") from None
        except EngineRejected as error:
            raise Refused(DeadLetterReason.ENGINE_REJECTED, f"the model rejects the query: {error}") from None
        except RetriesExhausted as error:
            raise Refused(DeadLetterReason.RETRIES_EXHAUSTED, str(error)) from None

    async def _sample(self, plan: Plan, seeds: Seeds, limit: timedelta) -> tuple[Sequence[Reply], Reply]:
        """The candidates and the fallback at once, each from a seed of its own."""
        wanted = [(self.engine, plan.reference_prompt, numbers((seeds.fallback,)))]
        if seeds.candidates:
            wanted.append((plan.proposal_engine, plan.proposal_prompt, numbers(seeds.candidates)))
        async with within(limit):
            fallback, *replies = await all_of(
                engine.sample(prompt, seeds=drawn, max_tokens=plan.max_tokens) for engine, prompt, drawn in wanted
            )
        return replies[0] if replies else (), fallback[0]


def _problem(prompt: Prompt, max_tokens: int, engine: Engine) -> str | None:
    try:
        check_sampling(prompt, max_tokens, engine.limits)
    except EngineRejected as error:
        return str(error)
    return None


def _question(query: QuerySubmitted) -> Question:
    return Question(text=query.text, language=query.language, category=query.category)


def _consent(query: QuerySubmitted) -> auction.Consent:
    return auction.Consent(advertising=query.advertising_consent, gpp=query.gpp, tcf=query.tcf)


def _sampling(plan: Plan, prompts: Prompts) -> auction.Sampling:
    return auction.Sampling(
        proposal=plan.proposal,
        temperature=1.0,
        top_p=1.0,
        max_tokens=plan.max_tokens,
        proposal_prompt_sha256=_prompt_digest(plan.proposal_prompt),
        reference_prompt_sha256=_prompt_digest(plan.reference_prompt),
        prompts=None if prompts == PAPER else prompts.used,
    )


def _prompt_digest(prompt: Prompt) -> str:
    """SHA-256 of the token ids, 4 bytes each, big-endian."""
    return sha256(struct.pack(f">{len(prompt)}I", *prompt)).hexdigest()


def _candidate(index: int, reply: Reply) -> Candidate:
    return Candidate(
        index=index, token_ids=reply.token_ids, text=reply.text, log_q=reply.log_q, finished=reply.finished
    )
