"""Rewards by source: what each is made of, that nobody's depend on another, and that a failure is its owner's alone."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.auction import Bidder, CandidatesGenerated, CandidatesScored
from schemas.envelope import Event
from schemas.reasons import AbstentionReason
from tests.rewards.models import Fake, Shelf, on_shelf, probes_of
from tests.support import builders
from tests.support.builders import make_bidder, make_scored
from tests.support.fakes import Clock, drawn_by
from workers.engines.base import Prompt, Reply
from workers.engines.log_probs import total
from workers.engines.options import EngineOptions
from workers.engines.prompts import PAPER
from workers.errors import EngineGone, EngineRejected, EngineTimeout, EngineUnavailable, SettingsError
from workers.operations.monitor import Monitor
from workers.rewards.base import Candidates
from workers.rewards.breaker import MOST_SLOW, SlowCallBreaker
from workers.rewards.bulkhead import Bulkhead
from workers.rewards.by_advertiser import origin_of
from workers.rewards.log_ratio import Lora
from workers.rewards.open import OpenEngines, Sources, open_sources
from workers.scoring import Scoring, Terms

TERMS = Terms(tau_micros_per_nat=1_000, currency="EUR", payment_rule="offset")
QUESTION = "How do I plant beans in week 0?"
WEIGHTS = np.linspace(-1.0, 1.0, 16)
BIAS = 0.5

#: One advertiser for each source; the first two share an embedder.
CHOICES: dict[str, dict[str, Any]] = {
    "advertiser-00": {"source": "linear_probe", "engine": "vectors", "weights_file": "w.json"},
    "advertiser-01": {"source": "linear_probe", "engine": "vectors", "weights_file": "w.json"},
    "advertiser-02": {"source": "model", "engine": "own"},
    "advertiser-03": {"source": "lora", "adapter": "trained"},
    "advertiser-04": {"source": "prompt"},
    "advertiser-06": {"source": "linear_probe", "weights_file": "w.json"},
}
BIDDERS = [make_bidder(index) for index in range(7)]  # 05 is in no file


def make_generated(**changes: Any) -> Event[CandidatesGenerated]:
    """Candidates of the fakes' tokens."""
    return builders.make_generated(**{"engine": drawn_by(Fake("reference")), **changes})


@dataclass
class World:
    """Engines on a shelf, and the sources of a file opened on them."""

    reference: Fake
    shelf: Shelf
    sources: Sources

    async def score(
        self, bidders: Sequence[Bidder] = BIDDERS, event: Event[CandidatesGenerated] | None = None
    ) -> CandidatesScored:
        rewards = self.sources.rewards
        worker = Scoring(self.reference, rewards, TERMS, Clock(), rewards.origin)
        (scored,) = await worker.handle(event or make_generated(candidates=5, advertisers=bidders))
        assert CandidatesScored.decode(scored.value) == scored.data  # what was published can be read
        return scored.data


@asynccontextmanager
async def world(
    folder: Path, choices: Mapping[str, Any] = CHOICES, *, down: Sequence[str] = ()
) -> AsyncIterator[World]:
    (folder / "w.json").write_text(json.dumps({"w": WEIGHTS.tolist(), "b": BIAS}))
    file = folder / "rewards.json"
    file.write_text(json.dumps({"advertisers": choices}))
    reference = Fake("reference", adapters=["trained"])
    with on_shelf(Fake("own"), Fake("vectors")) as shelf:
        shelf.down |= set(down)
        async with AsyncExitStack() as stack:
            known = OpenEngines(reference, {"reference": reference}, EngineOptions())
            yield World(reference, shelf, await open_sources(file, known, stack))


def replies() -> list[Reply]:
    candidates = make_generated(candidates=5, advertisers=1).data.candidates
    return [Reply(one.token_ids, one.text, one.log_q, one.finished) for one in candidates]


async def nats(engine: Fake) -> NDArray[np.float64]:
    """[M] the log-probabilities of the candidates behind the question alone."""
    return await engine.log_probs(engine.encode(PAPER.reference_turn(QUESTION)), replies())


async def test_each_source_gives_its_own_numbers(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        scored = await here.score()
        vectors = Fake("vectors")
        embedded = await vectors.embed(vectors.encode(QUESTION), replies())
        log_ref = await nats(here.reference)

        expected = {
            "advertiser-00": 500 * (embedded @ WEIGHTS + BIAS),
            "advertiser-01": 600 * (embedded @ WEIGHTS + BIAS),
            "advertiser-02": 700 * (await nats(Fake("own")) - log_ref),
            "advertiser-03": 800 * (await nats(Fake("trained")) - log_ref),
        }
    for id_, rewards in expected.items():
        assert scored.rewards_micros[id_] == tuple(rewards.tolist()), id_
    assert list(scored.rewards_micros) == [bidder.advertiser_id for bidder in BIDDERS]
    assert not scored.abstentions


async def test_no_model_but_the_reference_model_is_told_of_advertisers(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.score()

        assert set(here.shelf.engines["own"].turns) == {QUESTION}
        assert set(here.shelf.engines["vectors"].turns) == {QUESTION}
        named = [turn for turn in here.reference.turns if "Brand" in turn]
    assert sorted(turn.split()[4] for turn in named) == ["Brand04,", "Brand05,"]  # those with prompts


async def test_probes_on_one_embedder_share_one_pass(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.score()
        await here.score()

        assert here.shelf.opened.count("vectors") == 1
        assert here.shelf.engines["vectors"].embedded == 2  # one for each auction, whoever asks


async def test_the_scored_event_states_the_origin_of_rewards(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        origins = (await here.score()).reward_origins
        weights, own = (tmp_path / "w.json").read_bytes(), here.shelf.engines["own"].identity

    digest = sha256(weights).hexdigest()
    assert origins == {
        "advertiser-00": f"linear_probe:{digest}@{Fake('vectors').identity.model_sha256}",
        "advertiser-01": f"linear_probe:{digest}@{Fake('vectors').identity.model_sha256}",
        "advertiser-02": f"model:own@{own.model_sha256}",
        "advertiser-03": f"lora:trained@{Fake('trained').identity.model_sha256}",
        "advertiser-06": f"linear_probe:{digest}@{Fake('reference').identity.model_sha256}",
    }


@pytest.mark.parametrize("name", ["", "a model, with blanks", "modèle\n", "m" * 400, "\ud800"])
def test_no_name_of_a_model_makes_an_origin_that_no_event_can_hold(name: str) -> None:
    origin = origin_of("model", name, "a" * 64)

    scored = make_scored(reward_origins={"advertiser-00": origin}).data
    assert CandidatesScored.decode(scored.encode()).reward_origins == {"advertiser-00": origin}


def test_an_origin_is_of_somebody_who_bids() -> None:
    with pytest.raises(ValueError, match="reward_origins: an id without rewards"):
        make_scored(reward_origins={"advertiser-07": "lora:x@y"})


# Nobody's rewards depend on another


@pytest.mark.parametrize("loud", range(7))
async def test_an_advertisers_description_and_bid_do_not_change_the_others_rewards(tmp_path: Path, loud: int) -> None:
    """Bit for bit, whatever the sources: neither text, value, range nor presence of one moves another's."""
    changes = {"description": "the only one, never mention others", "name": "Loud", "value_micros_per_nat": 10**6}
    changed = [make_bidder(i, **changes) if i == loud else bidder for i, bidder in enumerate(BIDDERS)]
    async with world(tmp_path) as here:
        before, after = (await here.score()), (await here.score(changed))
        without = await here.score([bidder for i, bidder in enumerate(BIDDERS) if i != loud])

    id_ = f"advertiser-{loud:02}"
    for found in (after, without):
        assert {k: v for k, v in found.rewards_micros.items() if k != id_} == {
            k: v for k, v in before.rewards_micros.items() if k != id_
        }
        assert found.log_ref == before.log_ref


@pytest.mark.parametrize("moved", list(CHOICES))
async def test_an_advertisers_reward_source_does_not_change_the_others_rewards(tmp_path: Path, moved: str) -> None:
    async with world(tmp_path) as here:
        before = (await here.score()).rewards_micros
    async with world(tmp_path, {id_: choice for id_, choice in CHOICES.items() if id_ != moved}) as here:
        after = (await here.score()).rewards_micros

    assert {k: v for k, v in after.items() if k != moved} == {k: v for k, v in before.items() if k != moved}
    assert (after[moved] == before[moved]) is (CHOICES[moved]["source"] == "prompt")


async def test_a_reward_source_is_chosen_by_advertiser_id_alone(tmp_path: Path) -> None:
    same_name = make_bidder(5, name="Brand02", description=make_bidder(2).description)
    async with world(tmp_path) as here:
        scored = await here.score([make_bidder(2), same_name])

    assert list(scored.reward_origins) == ["advertiser-02"]


# A failure is its owner's alone

DOWN = [EngineUnavailable("no connection"), EngineGone("killed"), EngineTimeout("late")]


@pytest.mark.parametrize("fault", DOWN, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize(("engine", "owners"), [("own", [2]), ("vectors", [0, 1])])
async def test_an_advertisers_model_that_is_down_stops_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, engine: str, owners: list[int]
) -> None:
    monkeypatch.setattr("workers.engines.calls.PAUSES_S", (0.0,))
    async with world(tmp_path) as here:
        whole = await here.score()
        here.shelf.engines[engine].fault = fault

        scored = await here.score()

    ids = [f"advertiser-{owner:02}" for owner in owners]
    assert [(one.advertiser_id, one.reason) for one in scored.abstentions] == [
        (id_, AbstentionReason.OWN_MODEL_DOWN) for id_ in ids
    ]
    assert scored.rewards_micros == {k: v for k, v in whole.rewards_micros.items() if k not in ids}
    assert not set(scored.reward_origins) & set(ids)


@pytest.mark.parametrize("fault", [EngineUnavailable("down"), EngineGone("gone")])
async def test_all_advertisers_wait_for_the_reference_engine(tmp_path: Path, fault: Exception) -> None:
    """Also where one advertiser's embeddings alone need it."""
    async with world(tmp_path) as here:
        rewards = here.sources.rewards.chosen["advertiser-06"]
        here.reference.fault = fault
        with pytest.raises(type(fault)):
            await rewards.rewards(Candidates(QUESTION, replies(), np.zeros(5)), BIDDERS[6])


async def test_an_input_rejected_by_an_advertisers_model_is_its_abstention(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.shelf.engines["own"].fault = EngineRejected("too long")
        scored = await here.score()

    assert [one.reason for one in scored.abstentions] == [AbstentionReason.PROMPT_REJECTED]


async def test_an_adapter_that_computes_no_number_is_its_advertisers_abstention(tmp_path: Path) -> None:
    """On some inputs only, or the process would not have started: it ends no worker."""
    async with world(tmp_path) as here:
        whole = await here.score()
        trained = here.sources.rewards.chosen["advertiser-03"]
        assert isinstance(trained, Lora) and isinstance(trained.scorer, Fake)
        trained.scorer.fault = broken()
        scored = await here.score()

        here.reference.fault = broken()  # which is everybody's
        with pytest.raises(EngineGone):
            await here.score()

    assert [(one.advertiser_id, one.reason) for one in scored.abstentions] == [
        ("advertiser-03", AbstentionReason.REWARD_NOT_FINITE)
    ]
    assert scored.rewards_micros == {k: v for k, v in whole.rewards_micros.items() if k != "advertiser-03"}


def broken() -> EngineGone:
    """What a model's NaN becomes."""
    with pytest.raises(EngineGone) as raised:
        total([float("nan")])
    return raised.value


async def test_a_probe_beyond_what_a_float_holds_is_its_advertisers_abstention(tmp_path: Path) -> None:
    choice = {"source": "linear_probe", "weights_file": "huge.json"}
    (tmp_path / "huge.json").write_text(json.dumps({"w": [1.7e308, -1.7e308] * 8, "b": 1.7e308}))
    async with world(tmp_path, {"advertiser-00": choice}) as here:
        scored = await here.score(BIDDERS[:2])

    assert [(one.advertiser_id, one.reason) for one in scored.abstentions] == [
        ("advertiser-00", AbstentionReason.REWARD_NOT_FINITE)
    ]
    assert list(scored.rewards_micros) == ["advertiser-01"]


async def test_a_server_that_is_down_at_the_start_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.rewards.breaker.FIRST_PAUSE_S", 0.0)
    async with world(tmp_path, down=["own", "vectors"]) as here:
        # Given two servers that did not answer: the start says so and goes on
        first, second = here.sources.unreached
        assert f"{tmp_path / 'rewards.json'}: advertisers.advertiser-00.engine: vectors does not answer" in first
        assert "advertisers.advertiser-02.engine: own does not answer" in second
        down = await here.score()
        # When one is back
        here.shelf.down.discard("own")
        await here.score()
        await probes_of(here.sources)
        back = await here.score()

    # Then its advertiser bids again after a probe, and the process was not started again
    assert [one.advertiser_id[-2:] for one in down.abstentions] == ["00", "01", "02"]
    assert [one.advertiser_id[-2:] for one in back.abstentions] == ["00", "01"]
    assert back.reward_origins["advertiser-02"].startswith("model:own@")


async def test_a_server_that_comes_back_as_another_model_only_abstains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.rewards.breaker.FIRST_PAUSE_S", 0.0)
    async with world(tmp_path, down=["own", "vectors"]) as here:
        here.shelf.down.clear()
        stranger = here.shelf.engines["own"] = Fake("own", tokenizer="another")
        here.shelf.engines["vectors"].dimensions = 8
        scored = await here.score()

    assert [(one.advertiser_id, one.reason) for one in scored.abstentions] == [
        (f"advertiser-0{index}", AbstentionReason.OWN_MODEL_DOWN) for index in range(3)
    ]
    assert stranger.closed == 1


class Waiting(Fake):
    """Embeds when it is told to."""

    def __init__(self) -> None:
        super().__init__("vectors")
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def embed(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        self.begun.set()
        await self.go_on.wait()
        return await super().embed(prompt, replies)


async def test_an_engine_has_one_name_in_metrics_however_it_is_written(tmp_path: Path) -> None:
    choices = {"a": CHOICES["advertiser-02"], "b": CHOICES["advertiser-02"], "c": CHOICES["advertiser-00"]}
    monitor = Monitor(stages=["scoring"], currency="EUR", engine="null")
    (tmp_path / "w.json").write_text(json.dumps({"w": WEIGHTS.tolist(), "b": BIAS}))
    (tmp_path / "rewards.json").write_text(json.dumps({"advertisers": choices}))
    reference = Fake("reference")
    with on_shelf(Fake("own"), Fake("vectors")):
        async with AsyncExitStack() as stack:
            known = OpenEngines(reference, {"reference": reference}, EngineOptions(), monitor.own_models)
            await open_sources(tmp_path / "rewards.json", known, stack)

    samples = [sample for family in monitor.registry.collect() for sample in family.samples]
    models = {one.labels["model"] for one in samples if one.name.startswith("auction_own_model")}
    assert models == {"own", "vectors"}


class Leisurely(Fake):
    """Embeds, but never in less than its time."""

    def __init__(self, takes_s: float) -> None:
        super().__init__("vectors")
        self.takes_s, self.begun = takes_s, 0

    async def embed(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        self.begun += 1
        await asyncio.sleep(self.takes_s)
        return await super().embed(prompt, replies)


async def test_a_slow_embedding_server_is_left_out_like_a_slow_model(tmp_path: Path) -> None:
    """Its answers come in time, and always at the last moment."""
    choices = {id_: CHOICES[id_] | {"timeout_s": 0.4} for id_ in ("advertiser-00", "advertiser-01")}
    async with world(tmp_path, choices, down=["vectors"]) as here:
        here.shelf.down.clear()
        embedder = here.shelf.engines["vectors"] = Leisurely(takes_s=0.25)
        for one in here.sources.rewards.chosen.values():
            assert isinstance(one, Bulkhead)
            one._breaker = SlowCallBreaker()  # as if it had never been down

        scored = [await here.score() for _ in range(3 * MOST_SLOW)]

    assert embedder.begun == MOST_SLOW + 1
    assert {len(one.abstentions) for one in scored[MOST_SLOW + 1 :]} == {2}


async def test_a_cancelled_wait_for_embeddings_does_not_end_the_shared_pass(tmp_path: Path) -> None:
    choices = {
        "advertiser-00": CHOICES["advertiser-00"] | {"timeout_s": 0.01},
        "advertiser-01": CHOICES["advertiser-01"],
    }
    async with world(tmp_path, choices, down=["vectors"]) as here:
        here.shelf.down.clear()
        embedder = here.shelf.engines["vectors"] = waiting = Waiting()
        candidates = Candidates(QUESTION, replies(), np.zeros(5))
        chosen = here.sources.rewards.chosen
        impatient, patient = (
            asyncio.ensure_future(chosen[bidder.advertiser_id].rewards(candidates, bidder)) for bidder in BIDDERS[:2]
        )
        await waiting.begun.wait()
        await asyncio.wait([impatient])
        waiting.go_on.set()

        assert (await patient).shape == (5,)
        assert impatient.exception() is not None
        assert embedder.embedded == 1


# What is wrong is said at the start


START_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown adapter": ({"source": "lora", "adapter": "other"}, "a.adapter: no adapter 'other'; there are: trained"),
    "an unknown engine": ({"source": "model", "engine": "nothing"}, "a.engine: no engine is called 'nothing'"),
    "an unknown embedder": (
        {"source": "linear_probe", "engine": "embedded", "weights_file": "w.json"},
        "a.engine: no engine called 'embedded' gives embeddings",
    ),
    "no weights": (
        {"source": "linear_probe", "weights_file": "missing.npz"},
        "a.weights_file: .*missing.npz cannot be read: No such file",
    ),
    "weights for another model": (
        {"source": "linear_probe", "weights_file": "short.json"},
        "a.weights_file: 2 weights for embeddings of 16 dimensions",
    ),
    "another tokenizer": ({"source": "model", "engine": "foreign"}, "a.engine: foreign has the tokenizer"),
    "another tokenizer of the embedder": (
        {"source": "linear_probe", "engine": "foreign", "weights_file": "w.json"},
        "a.engine: foreign has the tokenizer",
    ),
    "a tokenizer of an engine that has its own": (
        {"source": "model", "engine": "foreign", "tokenizer": "t"},
        "a.tokenizer: only an engine over HTTP needs one; foreign has its own",
    ),
    "a tokenizer of no engine": (
        {"source": "linear_probe", "weights_file": "w.json", "tokenizer": "t"},
        "a.tokenizer: only an engine over HTTP needs one; name the engine too",
    ),
    "a key that is not there": (
        {"source": "model", "engine": "foreign", "api_key_file": "key"},
        "a.api_key_file: .*key cannot be read",
    ),
}


@pytest.mark.parametrize(("choice", "says"), START_FAULTS.values(), ids=START_FAULTS)
async def test_an_impossible_reward_source_is_refused_at_the_start(tmp_path: Path, choice: Any, says: str) -> None:
    foreign = Fake("foreign", tokenizer="other")
    (tmp_path / "short.json").write_text('{"w": [1, 2], "b": 0}')
    with on_shelf(foreign) as shelf:
        with pytest.raises(SettingsError, match=f"^{tmp_path / 'rewards.json'}: advertisers.{says}"):
            async with world(tmp_path, {"a": choice}):
                pass

        assert [shelf.engines[name].closed for name in shelf.opened] == [1] * len(shelf.opened)


async def test_the_reference_servers_key_and_adapters_are_given_to_no_other_server(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("theirs\n")
    choices = {"a": CHOICES["advertiser-02"], "b": CHOICES["advertiser-00"] | {"api_key_file": "key"}}
    async with world(tmp_path, choices) as here:
        options = here.shelf.options

    assert (options["own"].http.api_key, options["vectors"].http.api_key) == ("", "theirs")


async def test_a_shared_engine_is_closed_once(tmp_path: Path) -> None:
    choices = {f"a{index}": CHOICES["advertiser-02"] for index in range(5)} | {
        "b": {"source": "model", "engine": "reference"}
    }
    async with world(tmp_path, choices) as here:
        assert here.shelf.opened == ["own"]

    assert here.shelf.engines["own"].closed == 1
    assert here.reference.closed == 0  # by whoever opened it
