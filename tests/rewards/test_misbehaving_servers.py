"""An advertiser's server that answers wrongly: only its advertiser abstains, until it is put right."""

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from schemas.auction import CandidatesScored
from tests.rewards.models import Fake, probes_of
from tests.support.builders import make_bidder, make_generated
from tests.support.fakes import Clock, drawn_by
from tests.support.vllm_stand_in import FRAMING, TOKENIZER, Behaviour, Connection, Request, StandIn, answer, standing_in
from workers.engines.options import EngineOptions, HttpOptions
from workers.errors import SettingsError
from workers.rewards.open import OpenEngines, Sources, open_sources
from workers.scoring import Scoring, Terms

TERMS = Terms(tau_micros_per_nat=1_000, currency="EUR", payment_rule="offset")
OWN = {"source": "model"}
PROBE = {"source": "linear_probe", "weights_file": "w.json"}
ID = "advertiser-00"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.rewards.breaker.FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr("workers.engines.openai_http.client.PAUSES_S", (0.0,))


def always(status: int, document: Any) -> Behaviour:
    async def behave(_: Request, __: Connection) -> bytes:
        return answer(status, document)

    return behave


def vectors(dimensions: int) -> Behaviour:
    async def behave(request: Request, _: Connection) -> bytes:
        entries = [{"index": i, "embedding": [0.5] * dimensions} for i, _ in enumerate(request.body["input"])]
        return answer(200, {"data": entries})

    return behave


def one_more(server: StandIn) -> None:
    """Its tokenizer makes another token of each text."""
    right = server._tokens
    server._tokens = lambda text: [*right(text), 7]  # type: ignore[method-assign]


def told(path: str, status: int, document: Any) -> Callable[[StandIn], None]:
    return lambda server: server.behaviours.update({path: always(status, document)})


WRONG: dict[str, tuple[dict[str, Any], Callable[[StandIn], None], str]] = {
    "another service": (OWN, told("/version", 404, {"detail": "Not Found"}), "cannot be used .*answers 404"),
    "a wrong key": (OWN, told("/v1/models", 401, {"error": "Unauthorized"}), "cannot be used .*answers 401"),
    "a page": (OWN, told("/v1/models", 200, b"<html>"), "cannot be used"),
    "no such model": (OWN, lambda server: server.cards.clear(), "cannot be used .*has no model 'base'"),
    "another tokenizer": (OWN, one_more, "cannot be used .*is not the tokenizer of"),
    "no numbers": (OWN, told("/v1/completions", 400, {"error": "no prompt_logprobs"}), "cannot be used"),
    "a failure": (OWN, told("/v1/models", 500, {"error": "oops"}), "does not answer"),
    "no embeddings": (PROBE, told("/v1/embeddings", 404, {"detail": "Not Found"}), "cannot be used .*answers 404"),
    "other embeddings": (
        PROBE,
        lambda server: server.behaviours.update({"/v1/embeddings": vectors(8)}),
        "cannot be used .4 weights for embeddings of 8 dimensions",
    ),
}


@dataclass
class World:
    """One advertiser with a server of its own, beside another without."""

    reference: Fake
    sources: Sources

    async def score(self) -> CandidatesScored:
        rewards = self.sources.rewards
        worker = Scoring(self.reference, rewards, TERMS, Clock(), rewards.origin)
        bidders = [make_bidder(0), make_bidder(1)]
        event = make_generated(candidates=5, advertisers=bidders, engine=drawn_by(self.reference))
        (scored,) = await worker.handle(event)
        return scored.data

    async def abstain(self) -> Sequence[tuple[str, str]]:
        return [(one.advertiser_id, one.reason.name) for one in (await self.score()).abstentions]


@asynccontextmanager
async def world(folder: Path, choice: dict[str, Any], url: str = "", tokenizer: str = "") -> AsyncIterator[World]:
    (folder / "w.json").write_text(json.dumps({"w": [1.0] * 4, "b": 0}))
    file = folder / "rewards.json"
    file.write_text(json.dumps({"advertisers": {ID: {"engine": f"{url}#base"} | choice}}))
    reference = Fake("reference")
    reference.identity = replace(reference.identity, tokenizer_sha256=FRAMING.sha256)
    options = EngineOptions(timeout_s=2.0, http=HttpOptions(tokenizer=tokenizer))
    async with AsyncExitStack() as stack:
        yield World(reference, await open_sources(file, OpenEngines(reference, {}, options), stack))


@pytest.mark.parametrize(("choice", "spoil", "says"), WRONG.values(), ids=WRONG)
async def test_an_advertisers_server_that_answers_wrongly_does_not_prevent_the_start(
    tmp_path: Path, choice: dict[str, Any], spoil: Callable[[StandIn], None], says: str
) -> None:
    # Given a server that is not what it must be
    server = StandIn()
    spoil(server)
    async with standing_in(server) as url, world(tmp_path, choice, url, str(TOKENIZER)) as here:
        # Then the start says so and why, goes on, and only that advertiser abstains
        (sentence,) = here.sources.unreached
        place = f"{tmp_path / 'rewards.json'}: advertisers.{ID}.engine: "
        assert re.match(f"{place}{url}#base {says}.*; who depends on it abstains until that is put right$", sentence)
        assert sentence.count(place) == 1
        assert await here.abstain() == [(ID, "OWN_MODEL_DOWN")]

        # When it is put right
        fresh = StandIn()
        server.__dict__.update(fresh.__dict__)
        server.__dict__.pop("_tokens", None)
        server.behaviours["/v1/embeddings"] = vectors(4)

        # Then it bids, in the same process, once a probe was answered
        await here.abstain()
        await probes_of(here.sources)
        assert await here.abstain() == []
        assert (await here.score()).reward_origins.keys() == {ID}


FILE_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no host": (OWN | {"engine": "http:base"}, "engine: this is no address of a server"),
    "a login": (OWN | {"engine": "http://u:p@127.0.0.1:1#base"}, "engine: an engine's address has no user"),
    "no model": (OWN | {"engine": "http://127.0.0.1:1"}, "engine: http://127.0.0.1:1 names no model"),
    "no model to embed": (PROBE | {"engine": "http://127.0.0.1:1"}, "engine: http://127.0.0.1:1 names no model"),
    "a folder that is missing": (OWN | {"tokenizer": "missing"}, "tokenizer: .*missing/tokenizer.json cannot be read"),
    "no folder": (OWN, "engine: TESSERA_ENGINE_TOKENIZER is not set"),
    "a key of two lines": (OWN | {"api_key_file": "key"}, "api_key_file: .* holds no key"),
    "no weights": (PROBE | {"weights_file": "missing.json"}, "weights_file: .*missing.json cannot be read"),
}


@pytest.mark.parametrize(("choice", "says"), FILE_FAULTS.values(), ids=FILE_FAULTS)
async def test_a_mistake_in_the_rewards_file_is_refused_before_any_server_is_asked(
    tmp_path: Path, choice: dict[str, Any], says: str
) -> None:
    (tmp_path / "key").write_text("one\ntwo")
    server = StandIn()
    async with standing_in(server) as url:
        with pytest.raises(SettingsError, match=f"^{tmp_path / 'rewards.json'}: advertisers.{ID}.{says}"):
            async with world(tmp_path, choice, url):
                pass

    assert not server.requests
