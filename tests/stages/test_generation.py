"""Generation: what becomes of a query, with an engine that fails on demand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from schemas.advertiser import AdvertiserProfile
from schemas.auction import CandidatesGenerated, Consent
from schemas.envelope import Event, from_record
from schemas.identity import derive
from schemas.payload import MAX_CANDIDATE_TOKENS
from schemas.query import Advertiser, Parameters, QuerySubmitted
from schemas.reasons import AbstentionReason, DeadLetterReason
from schemas.reward_source import Adapted
from schemas.topics import QUERIES
from tests.support.builders import (
    DEADLINE,
    SUBMITTED_AT,
    envelop,
    make_advertiser,
    make_profile,
    make_query,
    make_record,
)
from tests.support.fakes import Clock, FaultyEngine, Hang
from workers.advertisers.admission import Admission
from workers.advertisers.registry import register
from workers.engines import calls
from workers.engines.base import Engine, Prompt, Reply, derive_seed
from workers.engines.prompts import PAPER
from workers.errors import EngineRejected, EngineUnavailable, Refused, RetriesExhausted
from workers.generation import Generation, Policy
from workers.mechanism.epochs import epoch_of, sampling_epoch_key
from workers.seeds import UncommittedKeys, numbers

POLICY = Policy(
    proposal="context_aware",
    candidates=5,
    max_tokens=12,
    deadline=timedelta(seconds=60),
    reward_limit_nats=50.0,
    sampling_keys=UncommittedKeys(b"sampling", Clock()),
)
SHORT = timedelta(milliseconds=20)


async def generate(
    query: Event[QuerySubmitted], engine: Engine | None = None, clock: Clock | None = None, **policy: Any
) -> Event[CandidatesGenerated]:
    worker = Generation(engine or FaultyEngine(), replace(POLICY, **policy), clock or Clock())
    (event,) = await worker.handle(query)
    assert CandidatesGenerated.decode(event.value) == event.data  # what was published can be read
    return event


def with_deadline(query: Event[QuerySubmitted], after: timedelta) -> Event[QuerySubmitted]:
    return replace(query, expiry_time=Clock().moment + after)


async def test_a_query_becomes_candidates_and_a_fallback() -> None:
    query = make_query(3)

    event = await generate(query)

    data = event.data
    assert (data.query_id, data.question.text) == ("query-3", query.data.text)
    assert (data.question.language, data.question.category) == ("en", "gardening")
    assert data.submitted_at == query.time == SUBMITTED_AT
    assert [candidate.index for candidate in data.candidates] == [0, 1, 2, 3, 4]
    assert all(1 <= len(candidate.token_ids) <= 12 for candidate in (*data.candidates, data.fallback))
    assert [bidder.advertiser_id for bidder in data.advertisers] == ["advertiser-00", "advertiser-01"]
    assert data.abstentions == ()
    assert (data.sampling.proposal, data.sampling.temperature, data.sampling.top_p) == ("context_aware", 1.0, 1.0)
    assert data.engine.name == "null"
    assert (event.causation_id, event.correlation_id, event.source) == (query.id, "query-3", "urn:tessera:generation")


@pytest.mark.parametrize("wanted", [{"candidates": 1}, {"max_tokens": 3}], ids=["one candidate", "short replies"])
async def test_a_query_below_the_operators_floor_gets_a_reply_without_adverts(wanted: dict[str, int]) -> None:
    """With one candidate nobody pays, and the context-aware prompt would advertise all the same."""
    data = (await generate(make_query(parameters=wanted), tokens_range=(4, 12))).data

    assert (data.advertisers, data.candidates) == ((), ())
    assert {one.reason for one in data.abstentions} == {AbstentionReason.BELOW_FLOOR}
    assert len(data.abstentions) == 2
    assert data.fallback.text


async def test_a_query_at_the_operators_floor_is_auctioned() -> None:
    wanted = {"candidates": 2, "max_tokens": 4}

    data = (await generate(make_query(parameters=wanted), tokens_range=(4, 12))).data

    assert (len(data.advertisers), len(data.candidates), data.abstentions) == (2, 2, ())


async def test_a_query_above_the_operators_ceiling_gets_the_ceiling() -> None:
    wanted = {"candidates": 64, "max_tokens": 512}

    data = (await generate(make_query(parameters=wanted), candidates_range=(2, 7), tokens_range=(1, 9))).data

    assert (len(data.candidates), data.sampling.max_tokens) == (7, 9)


async def test_ids_derive_from_the_position_the_query_was_read_at() -> None:
    query = make_query(3)

    event = await generate(query)

    auction_id = derive("auction", *query.origin, "query-3")
    assert event.data.auction_id == auction_id
    assert event.id == derive("event", event.type, auction_id, "query-3")


async def test_a_topic_that_is_begun_anew_gives_new_ids() -> None:
    """A keyless question at the same place would get the charge ids of another one's bills."""
    value = b'{"text":"How?"}'
    first, again, anew = (
        from_record(replace(make_record(value), incarnation=stamp), QUERIES) for stamp in ("1000", "1000", "2000")
    )

    ids = [(event.subject, event.id, (await generate(event)).data.auction_id) for event in (first, again, anew)]

    assert ids[0] == ids[1]
    assert not set(ids[0]) & set(ids[2])


async def test_ids_of_records_with_producer_timestamps_are_unchanged() -> None:
    event = from_record(make_record(b'{"text":"How?"}', partition=3, offset=17), QUERIES)

    assert event.subject == derive("query", QUERIES.name, "3", "17")[:32]
    assert (await generate(event)).data.auction_id == derive("auction", QUERIES.name, "3", "17", event.subject)


async def test_the_same_record_twice_gives_the_same_event() -> None:
    first, again = await generate(make_query(3)), await generate(make_query(3))

    assert (first.value, first.id) == (again.value, again.id)


async def test_another_position_or_key_gives_other_candidates() -> None:
    query = make_query(3)

    texts = {
        (await generate(query)).data.candidates,
        (await generate(replace(query, origin=(*query.origin[:2], "4")))).data.candidates,
        (await generate(query, sampling_keys=UncommittedKeys(b"another", Clock()))).data.candidates,
    }

    assert len(texts) == 3


async def test_every_candidate_and_the_fallback_have_seeds_of_their_own() -> None:
    engine = FaultyEngine()

    generated = (await generate(make_query(), engine)).data
    auction_id, key = generated.auction_id, sampling_epoch_key(b"sampling", epoch_of(Clock().moment))

    (reference_turn, last, _), (proposal_turn, seeds, _) = engine.calls.sampled
    assert seeds == tuple(derive_seed(key.key, auction_id, "candidate", index) for index in range(5))
    assert last == (derive_seed(key.key, auction_id, "fallback", 0),)
    assert generated.seeds is not None and generated.seeds.key_sha256 == key.sha256
    assert (numbers(generated.seeds.candidates), numbers((generated.seeds.fallback,))) == ([*seeds], [*last])
    assert reference_turn == make_query().data.text  # the advert-free reply: the question and nothing else
    assert proposal_turn == PAPER.context_aware_turn(reference_turn, make_query().data.advertisers)


async def test_log_q_is_the_log_probability_under_the_proposal() -> None:
    engine = FaultyEngine()

    data = (await generate(make_query(), engine)).data

    turn = PAPER.context_aware_turn(data.question.text, data.advertisers)
    drawn = await engine.sample(engine.encode(turn), seeds=engine.calls.sampled[1][1], max_tokens=12)
    assert [candidate.log_q for candidate in data.candidates] == [reply.log_q for reply in drawn]


async def test_the_reference_model_can_be_the_proposal() -> None:
    engine = FaultyEngine()

    data = (await generate(make_query(), engine, proposal="reference")).data

    assert data.sampling.proposal == "reference"
    assert {turn for turn, _, _ in engine.calls.sampled} == {data.question.text}
    assert data.sampling.proposal_prompt_sha256 == data.sampling.reference_prompt_sha256


async def test_prompts_are_identified_by_the_digest_of_their_tokens() -> None:
    engine = FaultyEngine()

    data = (await generate(make_query(), engine)).data

    tokens = [1, *(4 + byte for byte in data.question.text.encode())]  # the null engine's encoding
    packed = b"".join(token.to_bytes(4, "big") for token in tokens)
    assert data.sampling.reference_prompt_sha256 == sha256(packed).hexdigest()
    assert data.sampling.proposal_prompt_sha256 != data.sampling.reference_prompt_sha256


# Who takes part


@pytest.mark.parametrize("said", [{"advertising_consent": False}, {}], ids=["refused", "not said"])
async def test_without_consent_nobody_takes_part(said: dict[str, bool]) -> None:
    fields: dict[str, Any] = {
        "query_id": "query-0",
        "text": "How?",
        "advertisers": (make_advertiser(0), make_advertiser(1)),
    }

    data = (await generate(envelop(QuerySubmitted(**fields, **said), origin=("queries", "0", "0")))).data

    assert data.consent == Consent(advertising=False)
    assert [(one.advertiser_id, one.reason) for one in data.abstentions] == [
        ("advertiser-00", AbstentionReason.NO_CONSENT),
        ("advertiser-01", AbstentionReason.NO_CONSENT),
    ]
    assert (data.advertisers, data.candidates) == ((), ())
    assert data.sampling.proposal == "reference"
    assert data.fallback.token_ids


async def test_consent_strings_are_carried_through_as_they_are() -> None:
    strings = {"gpp": "DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA", "tcf": "CPXxRfAPXxRfAAfKABENB"}

    data = (await generate(make_query(**strings))).data

    assert data.consent == Consent(advertising=True, **strings)
    assert len(data.advertisers) == 2


async def test_a_blocked_category_keeps_out_whoever_is_in_it() -> None:
    advertisers = (
        make_advertiser(0, categories=("gambling", "sport")),
        make_advertiser(1, categories=("sport",)),
        make_advertiser(2),
    )
    query = make_query(advertisers=advertisers, blocked_categories=("gambling", "politics"))
    engine = FaultyEngine()

    data = (await generate(query, engine)).data

    assert [one.advertiser_id for one in data.advertisers] == ["advertiser-01", "advertiser-02"]
    assert [(one.advertiser_id, one.reason) for one in data.abstentions] == [
        ("advertiser-00", AbstentionReason.BLOCKED_CATEGORY)
    ]
    assert not [turn for turn, _, _ in engine.calls.sampled if "Brand00" in turn]


async def test_without_advertisers_there_are_no_candidates() -> None:
    engine = FaultyEngine()

    data = (await generate(make_query(advertisers=0), engine)).data

    assert (data.advertisers, data.abstentions, data.candidates) == ((), (), ())
    assert len(engine.calls.sampled) == 1


async def test_the_event_holds_each_bidder_with_its_reward_range_filled_in() -> None:
    declared, open_ = make_advertiser(0, reward_range_micros=(-7, 9)), make_advertiser(1, value_micros_per_nat=333)

    bidders = (await generate(make_query(advertisers=(declared, open_)), reward_limit_nats=1.5)).data.advertisers

    assert bidders[0].reward_range_micros == (-7, 9)
    assert bidders[1].reward_range_micros == (-500, 500)  # 1.5 · 333 = 499.5, half to even
    for bidder, advertiser in zip(bidders, (declared, open_), strict=True):
        for name in ("advertiser_id", "name", "description", "value_micros_per_nat", "categories"):
            assert getattr(bidder, name) == getattr(advertiser, name)


# Numbers the query may choose


async def test_a_query_may_set_its_own_auction_parameters() -> None:
    query = make_query(parameters=Parameters(candidates=2, max_tokens=3))

    data = (await generate(query)).data

    assert len(data.candidates) == 2
    assert data.sampling.max_tokens == 3
    assert all(len(candidate.token_ids) <= 3 for candidate in data.candidates)


async def test_the_candidates_of_one_auction_fit_its_event() -> None:
    query = make_query(parameters=Parameters(candidates=256))

    data = (await generate(query, max_tokens=1_024)).data

    assert data.sampling.max_tokens == MAX_CANDIDATE_TOKENS // 256


# The model's context


async def test_advertisers_that_do_not_fit_the_prompt_leave_the_reference_model_as_proposal() -> None:
    query = make_query()
    room = 1 + len(query.data.text) + POLICY.max_tokens

    data = (await generate(query, FaultyEngine(context=room))).data

    assert data.sampling.proposal == "reference"
    assert data.sampling.proposal_prompt_sha256 == data.sampling.reference_prompt_sha256
    assert len(data.advertisers) == 2  # they still bid
    assert len(data.candidates) == 5


async def test_a_question_that_does_not_fit_is_refused() -> None:
    query = make_query()
    engine = FaultyEngine(context=len(query.data.text) + POLICY.max_tokens)

    with pytest.raises(Refused) as caught:
        await generate(query, engine)

    assert caught.value.reason is DeadLetterReason.ENGINE_REJECTED
    assert not engine.calls.sampled


# Time


@pytest.mark.parametrize("late", [timedelta(0), timedelta(microseconds=1), timedelta(days=3)])
async def test_an_expired_query_is_refused(late: timedelta) -> None:
    engine = FaultyEngine()

    with pytest.raises(Refused) as caught:
        await generate(with_deadline(make_query(), -late), engine)

    assert caught.value.reason is DeadLetterReason.EXPIRED
    assert not engine.calls.sampled


async def test_a_deadline_just_ahead_is_kept() -> None:
    query = with_deadline(make_query(), timedelta(seconds=30))

    event = await generate(query)

    assert event.data.deadline == event.expiry_time == query.expiry_time


async def test_a_deadline_counts_from_when_the_query_is_read() -> None:
    """A backlog that waited through an outage is still answered."""
    clock = Clock(SUBMITTED_AT + timedelta(days=2))

    event = await generate(make_query(), clock=clock)

    assert event.data.deadline == clock.moment + timedelta(seconds=60)


async def test_only_a_stated_deadline_is_passed_on() -> None:
    query = with_deadline(make_query(), timedelta(seconds=30))

    stated, own = await generate(query), await generate(make_query())

    assert (stated.data.deadline_stated, stated.data.stated_deadline) == (True, query.expiry_time)
    assert (own.data.deadline_stated, own.data.stated_deadline, own.expiry_time) == (False, None, None)
    assert "expirytime" not in own.attributes()


async def test_the_producers_time_is_kept_beside_the_brokers() -> None:
    query = replace(make_query(), recorded_at=SUBMITTED_AT + timedelta(hours=1))

    event = await generate(query)

    assert (event.data.submitted_at, event.data.received_at) == (SUBMITTED_AT, query.recorded_at)


@pytest.mark.parametrize("word", ["Answer the query", "How do I plant"])
async def test_a_model_that_misses_a_stated_deadline_expires_the_query(word: str) -> None:
    query = with_deadline(make_query(), SHORT)

    with pytest.raises(Refused) as caught:
        await generate(query, FaultyEngine({word: Hang()}))

    assert caught.value.reason is DeadLetterReason.EXPIRED


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "ANSWERS_WITHIN", SHORT)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [Hang(), RetriesExhausted("no answer")])
async def test_an_engine_that_answers_nothing_does_not_expire_queries_without_a_deadline(
    fault: Hang | Exception,
) -> None:
    """The deadline is ours, not the query's: it waits as for an engine that is down."""
    with pytest.raises(EngineUnavailable, match="hangs"):
        await generate(make_query(), FaultyEngine({"": fault}), deadline=SHORT)


@pytest.mark.usefixtures("impatient")
async def test_a_proposal_engine_that_answers_nothing_does_not_expire_queries_without_a_deadline() -> None:
    silent, worker = FaultyEngine({"": Hang()}), Generation(FaultyEngine(), replace(POLICY, deadline=SHORT), Clock())

    with pytest.raises(EngineUnavailable, match="hangs"):
        await replace(worker, context_aware=silent).handle(make_query())


@pytest.mark.usefixtures("impatient")
async def test_a_query_that_is_too_much_for_an_engine_at_work_is_refused() -> None:
    engine = FaultyEngine({"Answer the query": Hang()})

    with pytest.raises(Refused) as caught:
        await generate(make_query(), engine, deadline=SHORT)

    assert caught.value.reason is DeadLetterReason.EXPIRED
    turns = [turn for turn, _, _ in engine.calls.sampled]
    first, second = turns.index(calls.QUESTION), len(turns)
    assert first < second - 1 and turns.count(calls.QUESTION) == 2  # it had all its time twice


class Recovering(FaultyEngine):
    """Answers nobody until the deadline has passed, and then is asked whether it does."""

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        if self._turns[prompt] == calls.QUESTION:
            self.faults.clear()
        return await super().sample(prompt, seeds=seeds, max_tokens=max_tokens)


@pytest.mark.parametrize("fault", [Hang(), RetriesExhausted("no answer")])
async def test_an_outage_ending_just_after_a_stages_own_deadline_expires_no_query(fault: Hang | Exception) -> None:
    event = await generate(make_query(), Recovering({"": fault}), deadline=SHORT)

    assert event.data.candidates == (await generate(make_query())).data.candidates


async def test_a_stated_deadline_that_passed_is_refused_as_expired() -> None:
    with pytest.raises(Refused) as caught:
        await generate(with_deadline(make_query(), SHORT), FaultyEngine({"": Hang()}))

    assert caught.value.reason is DeadLetterReason.EXPIRED


@pytest.mark.parametrize("word", ["Answer the query", "How do I plant"])
async def test_a_query_that_the_model_rejects_is_refused(word: str) -> None:
    """Also where our own count of tokens let it pass: the worker goes on with the next query."""
    with pytest.raises(Refused, match="too long") as caught:
        await generate(make_query(), FaultyEngine({word: EngineRejected("too long")}))

    assert caught.value.reason is DeadLetterReason.ENGINE_REJECTED


async def test_a_lost_engine_does_not_refuse_the_query() -> None:
    with pytest.raises(EngineUnavailable):
        await generate(make_query(), FaultyEngine({"Answer the query": EngineUnavailable("gone")}))


async def test_the_stated_deadline_is_in_the_event() -> None:
    query = make_query(deadline=DEADLINE)

    assert (await generate(query)).data.deadline == DEADLINE


# A proposal from another engine


def other_engine(**options: Any) -> FaultyEngine:
    engine = FaultyEngine(**options)
    engine.identity = replace(engine.identity, name="larger", model_sha256="e" * 64)
    return engine


async def test_candidates_come_from_the_proposals_engine_and_the_fallback_from_the_reference() -> None:
    reference, larger, query = FaultyEngine(), other_engine(), make_query()

    (event,) = await Generation(reference, POLICY, Clock(), larger).handle(query)

    data = event.data
    assert [turn for turn, _, _ in larger.calls.sampled] == [
        PAPER.context_aware_turn(query.data.text, data.advertisers)
    ]
    assert [turn for turn, _, _ in reference.calls.sampled] == [query.data.text]
    assert (data.engine.name, data.engine.model_sha256) == ("larger", "e" * 64)
    assert data.reference_engine is not None and data.reference_engine.name == "null"
    alone = (await generate(query)).data
    assert data.fallback == alone.fallback and alone.reference_engine is None


@pytest.mark.parametrize("why", ["nobody bids", "the names do not fit", "the reference model is the proposal"])
async def test_candidates_drawn_from_the_reference_engine_name_it(why: str) -> None:
    larger = other_engine(context=50 if why == "the names do not fit" else 65_536)
    query = make_query(advertisers=0 if why == "nobody bids" else 2)
    policy = replace(POLICY, proposal="reference") if why.startswith("the reference") else POLICY

    (event,) = await Generation(FaultyEngine(), policy, Clock(), larger).handle(query)

    assert (event.data.engine.name, event.data.reference_engine) == ("null", None)
    assert event.data.sampling.proposal == "reference"
    assert not larger.calls.sampled


async def test_a_proposals_engine_that_is_down_is_waited_for() -> None:
    with pytest.raises(EngineUnavailable):
        larger = other_engine(faults={"Answer the query": EngineUnavailable("down")})
        await Generation(FaultyEngine(), POLICY, Clock(), larger).handle(make_query())


@pytest.mark.parametrize(
    ("name", "misleads"),
    [
        ("Nobody paid; this is no advert. The weather", True),
        ("This is no advert. The weather", True),
        ("Free” is not paid for. “Shop", True),
        ('A "shop"', True),
        ("Dr. Oetker", False),
        ("Yahoo! Japan", False),
        ("J. M. Smucker Co.", False),
        ("O'Neill & Sons, Inc.", False),
    ],
)
async def test_an_advertiser_whose_name_reads_as_a_sentence_abstains(name: str, misleads: bool) -> None:
    named = make_query(3).data.advertisers[0].model_copy(update={"name": name})
    others = make_query(3).data.advertisers[1:]

    data = (await generate(make_query(3, advertisers=(named, *others)))).data

    reasons = {one.advertiser_id: one.reason for one in data.abstentions}
    assert reasons == ({named.advertiser_id: AbstentionReason.MISLEADING_NAME} if misleads else {})
    assert len(data.advertisers) == len(others) + (not misleads)


# Registered advertisers


def registered(*profiles: AdvertiserProfile) -> Admission:
    return Admission({one.advertiser_id: register(None, envelop(one)) for one in profiles}, "USD")


async def admitted(query: Event[QuerySubmitted], registry: Admission, **policy: Any) -> CandidatesGenerated:
    worker = Generation(FaultyEngine(), replace(POLICY, **policy), Clock(), registry=registry)
    (event,) = await worker.handle(query)
    return event.data


async def test_a_named_advertiser_bids_by_its_profile() -> None:
    source = Adapted(source="lora", adapter="seeds")
    profile = make_profile(3, version=17, link_group="farm", categories=("gardening",), reward_source=source)
    query = make_query(advertisers=1, advertiser_ids=("advertiser-03",))

    data = await admitted(query, registered(profile))

    inline, bidder = data.advertisers
    assert (inline.advertiser_id, inline.profile_version, inline.reward_source) == ("advertiser-00", None, None)
    expected = {name: getattr(profile, name) for name in Advertiser.model_fields}
    assert {name: getattr(bidder, name) for name in Advertiser.model_fields} == expected | {
        "reward_range_micros": (-40_000, 40_000)
    }
    assert (bidder.profile_version, bidder.reward_source) == (17, "lora")


async def test_a_query_cannot_bring_a_registered_advertiser_with_values_of_its_own() -> None:
    data = await admitted(make_query(advertisers=2), registered(make_profile(1)))

    assert [bidder.advertiser_id for bidder in data.advertisers] == ["advertiser-00"]
    assert [(one.advertiser_id, one.reason) for one in data.abstentions] == [
        ("advertiser-01", AbstentionReason.INLINE_FORBIDDEN)
    ]


async def test_an_operator_may_forbid_advertisers_that_are_not_registered() -> None:
    query = make_query(advertisers=1, advertiser_ids=("advertiser-03",))

    data = await admitted(query, registered(make_profile(3)), inline=False)

    assert [bidder.advertiser_id for bidder in data.advertisers] == ["advertiser-03"]
    assert [one.reason for one in data.abstentions] == [AbstentionReason.INLINE_FORBIDDEN]


async def test_without_consent_no_registered_advertiser_bids() -> None:
    query = make_query(advertisers=1, advertiser_ids=("advertiser-03",), advertising_consent=False)

    data = await admitted(query, registered(make_profile(3)))

    assert data.advertisers == ()
    assert {one.reason for one in data.abstentions} == {AbstentionReason.NO_CONSENT}


@pytest.mark.parametrize("ids", [["advertiser-00"], ["a", "a"], [f"b{n}" for n in range(64)]], ids=len)
def test_a_query_names_each_advertiser_once_and_no_more_than_an_auction_holds(ids: list[str]) -> None:
    with pytest.raises(ValueError, match=r"stands twice|more than 64"):
        make_query(advertisers=1, advertiser_ids=tuple(ids))
