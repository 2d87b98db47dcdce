"""The weights that ship are the weights that were released: same bytes, same numbers."""

import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from workers.engines.base import Reply
from workers.engines.embedded.engine import MODEL, EmbeddedEngine

RECORDED: dict[str, Any] = json.loads((MODEL / "recorded.json").read_text(encoding="utf-8"))
TOLERANCE_NATS = 1e-3


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine()
    yield engine
    await engine.close()


def test_the_files_are_those_of_the_record() -> None:
    shipped = {
        path.relative_to(MODEL).as_posix(): sha256(path.read_bytes()).hexdigest()
        for folder in (MODEL / "ct2", MODEL / "hf")
        for path in folder.rglob("*")
        if path.is_file()
    }

    assert shipped == RECORDED["model_sha256"]


def test_the_engine_names_these_files(engine: EmbeddedEngine) -> None:
    assert engine.identity.model_sha256 == RECORDED["model_sha256"]["ct2/model.bin"]
    assert engine.identity.tokenizer_sha256 == RECORDED["model_sha256"]["hf/tokenizer.json"]


def test_the_recorded_scores_cover_enough_replies() -> None:
    records = RECORDED["records"]

    assert RECORDED["tolerance_nats"] == TOLERANCE_NATS
    assert len(records) >= 12
    assert {record["kind"] for record in records} == {"reference", "advertiser", "context-aware"}
    assert {record["finished"] for record in records} == {True, False}


@pytest.mark.parametrize(
    "record", RECORDED["records"], ids=lambda record: f"{record['kind']}-{len(record['reply_ids'])}"
)
async def test_recorded_log_probabilities_come_out_again(engine: EmbeddedEngine, record: dict[str, Any]) -> None:
    prompt = engine.encode(record["prompt"])
    assert list(prompt) == record["prompt_ids"]

    reply = Reply(tuple(record["reply_ids"]), record["reply"], record["log_prob"], record["finished"])
    alone, among = await engine.log_probs(prompt, [reply]), await engine.log_probs(prompt, [reply] * 3)

    assert alone == pytest.approx(np.array([record["log_prob"]]), abs=TOLERANCE_NATS)
    assert among == pytest.approx(np.full(3, record["log_prob"]), abs=TOLERANCE_NATS)
