"""A sample of auctions asked of the model again: lies that the log alone does not show, caught by their names."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.auction import Candidate, CandidatesScored
from schemas.envelope import Event
from tests.audit.logs import Log, audited, lines
from tests.support.builders import make_query, make_scored, settle
from tests.support.fakes import Clock
from tests.support.worker_process import tessera
from workers.audit.findings import Check, Finding, Kind, Tally
from workers.engines.base import Engine, Reply
from workers.engines.catalogue import open_engine
from workers.engines.embedded.conversion import add_ct2
from workers.engines.embedded.engine import MODEL, EmbeddedEngine
from workers.engines.null import NullEngine
from workers.engines.options import EngineOptions
from workers.engines.prompts import PAPER, Prompts
from workers.engines.tempering import temper
from workers.generation import Generation, Policy
from workers.model_audit.asked import AuditModels, ModelTally
from workers.model_audit.resample import Resampling
from workers.model_audit.rescore import Rescoring
from workers.model_audit.sample import AuctionSample
from workers.rewards.log_ratio import LogRatio
from workers.scoring import Scoring, Terms
from workers.seeds import UncommittedKeys

POLICY = Policy(
    proposal="context_aware",
    candidates=3,
    max_tokens=12,
    deadline=timedelta(minutes=5),
    reward_limit_nats=50.0,
    sampling_keys=UncommittedKeys(b"the secret of the seeds", Clock()),
)
TERMS = Terms(1_000, "USD", "offset")
HALF_A_NAT = 0.5


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(threads=1)
    yield engine
    await engine.close()


@pytest.fixture(scope="module")
async def scored(engine: EmbeddedEngine) -> Event[CandidatesScored]:
    """An auction of the bundled model, by the product."""
    return await hold(engine)


@dataclass(frozen=True)
class Double:
    """Draws with one model, and says that it is another: what an operator's host can do."""

    drawer: Engine
    claimed: Engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.drawer if name == "sample" else self.claimed, name)


async def hold(engine: Any, scorer: Any = None, prompts: Prompts = PAPER) -> Event[CandidatesScored]:
    query = make_query(3, text="How do I bake cookies?")
    (generated,) = await Generation(engine, POLICY, Clock(), prompts=prompts).handle(query)
    scorer = scorer or engine
    (scored,) = await Scoring(scorer, LogRatio(scorer), TERMS, Clock(), prompts=prompts).handle(generated)
    return scored


async def asked_again(
    engine: Engine, *scored: CandidatesScored, tolerance: float = 0.01, prompts: Prompts = PAPER
) -> tuple[Tally, list[Finding]]:
    """What both checks find."""
    found: list[Finding] = []
    counted, models = ModelTally(Tally(found.append)), AuditModels(engine, prompts=prompts)
    for one in scored:
        await Resampling(counted, models).check(one)
        await Rescoring(counted, models, tolerance).check(one)
    return counted.tally, found


def other(scored: CandidatesScored, **changes: Any) -> CandidatesScored:
    return CandidatesScored(**({name: getattr(scored, name) for name in type(scored).model_fields} | changes))


def settled(scored: Event[CandidatesScored], data: CandidatesScored) -> Log:
    """The lie settled by the product: every digest and every charge is that of the event as it is now."""
    reply, *bills = settle(replace(scored, data=data, value=data.encode()))
    return Log(data, reply.data, tuple(bill.data for bill in bills), ())  # type: ignore[arg-type]


async def exchanged(engine: EmbeddedEngine, scored: CandidatesScored) -> CandidatesScored:
    """The second candidate is what the operator would like, with the numbers that the model gives it."""
    first = scored.candidates[0]
    reply = Reply(first.token_ids[:-1], "", 0.0, False)
    (liked,) = (engine._reply(reply.token_ids, 0.0),)

    async def nats(turn: str) -> float:
        return float((await engine.log_probs(engine.encode(turn), [liked]))[0])

    question = scored.question.text
    log_ref = await nats(PAPER.reference_turn(question))
    log_q = await nats(PAPER.context_aware_turn(question, scored.advertisers))
    rewards = {}
    for bidder in scored.advertisers:
        own = await nats(PAPER.advertiser_turn(question, bidder))
        row = list(scored.rewards_micros[bidder.advertiser_id])
        row[1] = bidder.value_micros_per_nat * (own - log_ref)
        rewards[bidder.advertiser_id] = tuple(row)
    candidate = Candidate(index=1, token_ids=liked.token_ids, text=liked.text, log_q=log_q, finished=False)
    return other(
        scored,
        candidates=(scored.candidates[0], candidate, *scored.candidates[2:]),
        log_ref=(scored.log_ref[0], log_ref, *scored.log_ref[2:]),
        rewards_micros=rewards,
    )


def nudged(scored: CandidatesScored, nats: float = HALF_A_NAT) -> CandidatesScored:
    """One reward of one advertiser, by so much."""
    bidder = scored.advertisers[1]
    row = list(scored.rewards_micros[bidder.advertiser_id])
    row[2] += nats * bidder.value_micros_per_nat
    return other(scored, rewards_micros={**scored.rewards_micros, bidder.advertiser_id: tuple(row)})


async def test_an_honest_auction_is_drawn_and_scored_again_as_it_was(
    engine: EmbeddedEngine, scored: Event[CandidatesScored]
) -> None:
    tally, found = await asked_again(engine, scored.data)

    assert found == []
    assert (tally.checked[Check.RESAMPLED], tally.checked[Check.RESCORED]) == (1, 1)
    assert audited(settled(scored, scored.data)).discrepancies == 0


async def test_a_candidate_exchanged_with_all_digests_and_numbers_right_is_found_by_drawing_again(
    engine: EmbeddedEngine, scored: Event[CandidatesScored]
) -> None:
    lie = await exchanged(engine, scored.data)

    _, found = await asked_again(engine, lie)

    assert audited(settled(scored, lie)).discrepancies == 0  # the log alone does not show it
    assert [(one.kind, one.query_id, one.auction_id) for one in found] == [
        (Kind.OTHER_CANDIDATE, lie.query_id, lie.auction_id)
    ]
    assert "candidate 1, drawn again from its seed" in found[0].sentence


async def test_a_reward_nudged_by_half_a_nat_for_one_advertiser_is_found_by_scoring_again(
    engine: EmbeddedEngine, scored: Event[CandidatesScored]
) -> None:
    lie = nudged(scored.data)

    _, found = await asked_again(engine, lie)

    assert audited(settled(scored, lie)).discrepancies == 0
    assert [(one.kind, one.advertiser_id) for one in found] == [(Kind.WRONG_REWARD, "advertiser-01")]
    assert "candidate 2" in found[0].sentence
    assert (await asked_again(engine, lie, tolerance=0.6))[1] == []  # so wide a bound is the auditor's choice
    assert (await asked_again(engine, nudged(scored.data, 0.001)))[1] == []


async def test_replies_of_another_model_are_found_by_both(
    engine: EmbeddedEngine, scored: Event[CandidatesScored], tmp_path: Path
) -> None:
    """Drawn from the model at another temperature, with its log q, under the name of the bundled one."""
    temper(MODEL / "hf", 0.5, tmp_path / "cool")
    add_ct2(tmp_path / "cool")
    cool = await open_engine(f"embedded:{tmp_path / 'cool'}", EngineOptions(threads=1))

    lie = await hold(Double(cool, engine), engine)
    _, found = await asked_again(engine, lie.data)
    await cool.close()

    assert audited(settled(lie, lie.data)).discrepancies == 0
    assert {Kind.OTHER_CANDIDATE, Kind.WRONG_LOG_Q} <= {one.kind for one in found}
    assert {one.query_id for one in found} == {lie.data.query_id}


async def test_the_fallback_log_ref_and_prompts_are_asked_again_too(
    engine: EmbeddedEngine, scored: Event[CandidatesScored]
) -> None:
    data = scored.data
    fallback = other(data, fallback=data.candidates[0])
    log_ref = other(data, log_ref=(data.log_ref[0] - HALF_A_NAT, *data.log_ref[1:]))
    sampling = data.sampling.model_copy(update={"proposal_prompt_sha256": "ab" * 32})
    texts = data.candidates[2].model_copy(update={"text": data.candidates[2].text + "!"})

    for lie, kind, what in (
        (fallback, Kind.OTHER_CANDIDATE, "the fallback"),
        (log_ref, Kind.WRONG_LOG_REF, "log π_ref of candidate 0"),
        (other(data, sampling=sampling), Kind.OTHER_PROMPT, "the proposal prompt"),
        (other(data, candidates=(*data.candidates[:2], texts)), Kind.OTHER_CANDIDATE, "candidate 2"),
    ):
        _, found = await asked_again(engine, lie)
        assert {one.kind for one in found} == {kind}
        assert all(what in one.sentence for one in found)


async def test_what_the_model_cannot_judge_is_counted_and_no_finding(
    engine: EmbeddedEngine, scored: Event[CandidatesScored]
) -> None:
    data = scored.data
    bidder = data.advertisers[0].advertiser_id
    elsewhere = data.engine.model_copy(update={"tokenizer_sha256": "ab" * 32})
    origins = other(nudged(data), reward_origins={"advertiser-01": f"lora:own@{'ab' * 32}"})

    tally, found = await asked_again(engine, other(data, seeds=None), other(data, engine=elsewhere), origins)

    assert bidder == "advertiser-00" and found == []
    assert (tally.unverifiable[Check.RESAMPLED], tally.unverifiable[Check.RESCORED]) == (2, 1)


def sampled(count: int, name: str, events: Sequence[CandidatesScored]) -> list[str]:
    sample = AuctionSample(count, name)
    for one in (*events, *events[:3]):
        sample.offer(one, f"digest of {one.query_id}")
    return [one.query_id for one in sample.chosen()]


def test_a_sample_is_the_same_in_any_order_and_another_name_gives_another() -> None:
    events = [make_scored(seed).data for seed in range(40)]

    first = sampled(10, "a", events)

    assert first == sampled(10, "a", events[::-1])
    assert len({*first}) == 10 and sampled(4, "a", events) == first[:4]
    assert {*first} != {*sampled(10, "b", events)}
    assert sampled(10, "a", [make_scored(1, advertisers=0, rewards_micros={}, log_ref=()).data]) == []


def test_the_command_asks_the_bundled_model_again_from_a_file_without_kafka(
    scored: Event[CandidatesScored], tmp_path: Path
) -> None:
    honest, lie = settled(scored, scored.data), settled(scored, nudged(scored.data))
    for name, log in (("honest", honest), ("lie", lie)):
        (tmp_path / name).write_bytes(b"\n".join(lines(log.payloads())) + b"\n")
    wanted = ("--json", "--resample", "1", "--rescore", "1", "--sample-seed", "a")

    right, wrong = (tessera("audit", str(tmp_path / name), *wanted, engine="embedded") for name in ("honest", "lie"))
    refused = tessera("audit", str(tmp_path / "honest"), "--resample", "1", "--engine", "null")

    assert right.returncode == 0, right.stderr.decode()
    totals = json.loads(right.stdout.splitlines()[-1])
    assert [totals["invariants"][name]["checked"] for name in ("resampled", "rescored")] == [1, 1]
    assert (totals["sample"]["seed"], totals["sample"]["auctions"]) == ("a", 1)
    finding, totals = map(json.loads, wrong.stdout.splitlines())
    assert wrong.returncode == 1 and totals["kinds"] == {"wrong_reward": 1}
    assert (finding["kind"], finding["advertiser_id"], finding["invariant"]) == (
        *("wrong_reward", "advertiser-01"),
        "rescored",
    )
    assert refused.returncode == 2 and b"open that one with --engine" in refused.stderr


async def test_an_auction_in_words_of_the_operators_is_judged_with_its_words_alone() -> None:
    engine, words = NullEngine(), Prompts(version="short", advertiser="For {name}: {question}")
    scored = (await hold(engine, prompts=words)).data

    without, found = await asked_again(engine, scored)
    given, found_too = await asked_again(engine, scored, prompts=words)

    assert found == found_too == []
    assert [without.unverifiable[one] for one in (Check.RESAMPLED, Check.RESCORED)] == [1, 1]
    assert [given.checked[one] for one in (Check.RESAMPLED, Check.RESCORED)] == [1, 1]
