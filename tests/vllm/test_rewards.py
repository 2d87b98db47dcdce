"""Rewards from real servers: an adapter, the same weights as a model of somebody's own, and a probe on embeddings."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from schemas.auction import CandidatesScored
from schemas.reasons import AbstentionReason
from tests.support.builders import make_bidder, make_candidate, make_generated
from tests.support.fakes import Clock, drawn_by
from tests.support.vllm_server import ADAPTER, VllmServer
from workers.engines.base import Engine
from workers.engines.embedders import open_embedder
from workers.errors import SettingsError
from workers.rewards.open import OpenEngines, Sources, open_sources
from workers.scoring import Scoring, Terms

pytestmark = pytest.mark.vllm

TERMS = Terms(tau_micros_per_nat=1_000, currency="EUR", payment_rule="offset")
TOLERANCE_NATS = 1e-3
DIMENSIONS = 192
QUESTION = "How do I bake cookies?"
VALUE = 1_000  # micros per nat, of everybody
BACK_S = 60.0


@pytest.fixture(scope="module")
def embedding_server(tmp_path_factory: pytest.TempPathFactory, vllm_server: VllmServer) -> Iterator[VllmServer]:
    """Of this module alone, which kills it."""
    with VllmServer(tmp_path_factory.mktemp("embedding-server"), embeds=True) as server:
        yield server


@asynccontextmanager
async def sources(folder: Path, server: VllmServer, embedding: VllmServer, engine: Engine) -> AsyncIterator[Sources]:
    weights = np.random.default_rng(5).normal(size=DIMENSIONS).tolist()
    (folder / "w.json").write_text(json.dumps({"w": weights, "b": 0.25}))
    probe = {"source": "linear_probe", "engine": embedding.name, "weights_file": "w.json"}
    choices = {
        "advertiser-00": {"source": "lora", "adapter": ADAPTER},
        "advertiser-01": {"source": "model", "engine": f"{server.url}#{ADAPTER}"},
        "advertiser-02": probe,
    }
    (folder / "rewards.json").write_text(json.dumps({"advertisers": choices}))
    async with AsyncExitStack() as stack:
        known = OpenEngines(engine, {server.name: engine}, server.options)
        yield await open_sources(folder / "rewards.json", known, stack)


async def scored(engine: Engine, found: Sources) -> CandidatesScored:
    """An auction of candidates that the engine drew, each advertiser's nat worth the same."""
    replies = await engine.sample(engine.encode(QUESTION), seeds=range(1, 7), max_tokens=40)
    candidates = [
        make_candidate(i, token_ids=one.token_ids, text=one.text, log_q=one.log_q, finished=one.finished)
        for i, one in enumerate(replies)
    ]
    wide = (-(10**9), 10**9)
    bidders = [make_bidder(index, value_micros_per_nat=VALUE, reward_range_micros=wide) for index in range(4)]
    event = make_generated(candidates=candidates, advertisers=bidders, engine=drawn_by(engine))
    (after,) = await Scoring(engine, found.rewards, TERMS, Clock(), found.rewards.origin).handle(event)
    return after.data


async def test_four_reward_sources_work_on_real_servers(
    tmp_path: Path, http_engine: Engine, vllm_server: VllmServer, embedding_server: VllmServer
) -> None:
    async with sources(tmp_path, vllm_server, embedding_server, http_engine) as found:
        first, again = await scored(http_engine, found), await scored(http_engine, found)

    rewards = {id_: np.array(row) for id_, row in first.rewards_micros.items()}
    assert list(rewards) == [f"advertiser-{index:02}" for index in range(4)] and found.unreached == ()
    # The same weights, as an adapter of the engine and as a model of the advertiser's own
    assert rewards["advertiser-00"] == pytest.approx(rewards["advertiser-01"], abs=VALUE * TOLERANCE_NATS)
    assert np.abs(rewards["advertiser-00"]).max() > 100 * VALUE * TOLERANCE_NATS
    assert again.rewards_micros["advertiser-02"] == pytest.approx(rewards["advertiser-02"], abs=VALUE * TOLERANCE_NATS)
    assert len(set(rewards["advertiser-02"])) > 1
    kinds = {id_: origin.partition(":")[0] for id_, origin in first.reward_origins.items()}
    assert kinds == {"advertiser-00": "lora", "advertiser-01": "model", "advertiser-02": "linear_probe"}


async def test_an_embedding_depends_on_its_own_reply_alone(http_engine: Engine, embedding_server: VllmServer) -> None:
    embedder = await open_embedder(embedding_server.name, embedding_server.options)
    prompt = embedder.encode(QUESTION)
    replies = await http_engine.sample(http_engine.encode(QUESTION), seeds=range(1, 21), max_tokens=30)

    together = await embedder.embed(prompt, [*replies, replies[0]])
    alone = np.concatenate([await embedder.embed(prompt, [reply]) for reply in replies])

    assert embedder.dimensions == DIMENSIONS and prompt == http_engine.encode(QUESTION)
    assert together[:-1] == pytest.approx(alone, abs=1e-5)
    assert together[-1] == pytest.approx(together[0], abs=1e-5)
    await embedder.close()


async def test_a_server_that_completes_gives_no_embeddings(vllm_server: VllmServer) -> None:
    with pytest.raises(SettingsError, match="gives no embeddings"):
        await open_embedder(vllm_server.name, vllm_server.options)


async def test_one_advertisers_server_is_killed_and_comes_back(
    tmp_path: Path, http_engine: Engine, vllm_server: VllmServer, embedding_server: VllmServer
) -> None:
    async with sources(tmp_path, vllm_server, embedding_server, http_engine) as found:
        whole = await scored(http_engine, found)
        # When the server of one is gone
        embedding_server.kill()
        without = await scored(http_engine, found)
        # Then that one abstains, and the others have their auction
        assert [(one.advertiser_id, one.reason) for one in without.abstentions] == [
            ("advertiser-02", AbstentionReason.OWN_MODEL_DOWN)
        ]
        for id_, row in without.rewards_micros.items():
            assert row == pytest.approx(whole.rewards_micros[id_], abs=VALUE * TOLERANCE_NATS)
        # And when it is back, it bids again
        await asyncio.to_thread(embedding_server.start)
        async with asyncio.timeout(BACK_S):
            while (await scored(http_engine, found)).abstentions:
                await asyncio.sleep(0.5)
