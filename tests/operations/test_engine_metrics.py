"""Calls of an engine are counted by how they end, and the tokens of what was drawn and scored."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from tests.support.fakes import FaultyEngine, Hang
from workers.engines.base import Engine
from workers.engines.observed import EngineResult, observed
from workers.errors import EngineError, EngineGone, EngineRejected, EngineTimeout, EngineUnavailable
from workers.operations.engine_metrics import EngineMetrics

FAULTS = {
    "rejected": EngineRejected("too long"),
    "timed_out": EngineTimeout("slow"),
    "down": EngineUnavailable("away"),
    "gone": EngineGone("for good"),
    "failed": EngineError("who knows"),
    "bug": ZeroDivisionError(),
}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def engine(registry: CollectorRegistry) -> Engine:
    metrics = EngineMetrics(registry)
    metrics.engine("null")
    return observed(FaultyEngine({**FAULTS, "hang": Hang()}), "null", metrics)


def requests(registry: CollectorRegistry, verb: str) -> dict[str, float]:
    """Those that are not 0, by result."""
    labels = ({"engine": "null", "verb": verb, "result": result.value} for result in EngineResult)
    found = {one["result"]: registry.get_sample_value("auction_engine_requests_total", one) or 0 for one in labels}
    return {result: count for result, count in found.items() if count}


def tokens(registry: CollectorRegistry, verb: str) -> float | None:
    return registry.get_sample_value("auction_engine_tokens_total", {"engine": "null", "verb": verb})


async def test_tokens_of_replies_are_counted_where_they_are_drawn_and_where_they_are_scored(
    engine: Engine, registry: CollectorRegistry
) -> None:
    assert tokens(registry, "sample") == tokens(registry, "log_probs") == 0  # rate() sees the first call
    prompt = engine.encode("How?")

    replies = await engine.sample(prompt, seeds=[1, 2], max_tokens=5)
    await engine.log_probs(prompt, [*replies, *replies])

    drawn = sum(len(reply.token_ids) for reply in replies)
    assert (tokens(registry, "sample"), tokens(registry, "log_probs")) == (drawn, 2 * drawn)
    assert requests(registry, "sample") == requests(registry, "log_probs") == {"answered": 1}


@pytest.mark.parametrize(
    ("word", "result"), [*((word, word) for word in ("rejected", "timed_out", "down", "failed")), ("gone", "down")]
)
async def test_a_call_that_fails_is_counted_by_its_reason_and_fails_as_before(
    engine: Engine, registry: CollectorRegistry, word: str, result: str
) -> None:
    with pytest.raises(type(FAULTS[word])):
        await engine.sample(engine.encode(word), seeds=[1], max_tokens=5)

    assert requests(registry, "sample") == {result: 1}
    assert tokens(registry, "sample") == 0


async def test_a_call_that_is_cancelled_or_meets_a_bug_has_failed(engine: Engine, registry: CollectorRegistry) -> None:
    with pytest.raises(ZeroDivisionError):
        await engine.sample(engine.encode("bug"), seeds=[1], max_tokens=5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine.sample(engine.encode("hang"), seeds=[1], max_tokens=5), 0.01)

    assert requests(registry, "sample") == {"failed": 2}


def test_in_all_else_it_is_the_engine_itself(engine: Engine) -> None:
    plain = FaultyEngine()

    assert (engine.identity, engine.limits, engine.seed_scope) == (plain.identity, plain.limits, plain.seed_scope)
