"""What a loaded engine says of itself."""

import time
from collections.abc import Awaitable
from typing import TypeVar

from workers.app.models import Models
from workers.doctor.verdict import State
from workers.engines.base import Engine
from workers.settings import Settings

T = TypeVar("T")
Findings = tuple[State, str, str]

FEW_TOKENS = 64  # of a prompt: a question of two sentences and who bids


async def timed(work: Awaitable[T]) -> tuple[T, float]:
    """The result, and how long it took, s."""
    began = time.perf_counter()
    result = await work
    return result, time.perf_counter() - began


def findings(models: Models, settings: Settings, load_s: float) -> dict[str, Findings]:
    """By check."""
    engine, known = models.reference, models.reference.identity
    return {
        "engine": (State.OK, f"{settings.engine}: {known.name}, {known.version}; loaded in {load_s:.1f} s", ""),
        "calls": _calls(known.calls),
        "model": (State.OK, f"weights {known.model_sha256}, tokenizer {known.tokenizer_sha256} (SHA-256)", ""),
        "limits": _limits(engine, settings.max_tokens),
        "proposal": _proposal(models),
        "rewards": _rewards(models),
    }


def _calls(said: str) -> Findings:
    return (State.OK, said, "") if said else (State.UNKNOWN, "this engine does not say", "")


def _proposal(models: Models) -> Findings:
    if models.context_aware is None:
        return State.OK, "candidates are drawn from the same engine", ""
    known = models.context_aware.identity
    return State.OK, f"candidates are drawn from {known.name}, {known.version}; weights {known.model_sha256}", ""


def _rewards(models: Models) -> Findings:
    """The models that advertisers bid through."""
    if models.sources is None:
        return State.OK, "all advertisers bid through the same engine, told to advertise", ""
    said = f"{len(models.sources.rewards.chosen)} advertisers bid through something of their own"
    if models.sources.unreached:
        unreached = "; ".join(models.sources.unreached)
        advice = "it is for those advertisers to put right: they abstain until then, and nobody waits for them"
        return State.WARNING, f"{said}; {unreached}", advice
    return State.OK, said, ""


def _limits(engine: Engine, max_tokens: int) -> Findings:
    limits = engine.limits
    left = limits.context - max_tokens
    said = f"vocabulary of {limits.vocabulary}; prompt and reply of {limits.context} tokens together"
    if left < 1:
        return (
            State.FAILED,
            said,
            f"TESSERA_MAX_TOKENS={max_tokens} leaves nothing for a prompt: every query is refused",
        )
    said += f", {left} of them for the prompt"
    if left < FEW_TOKENS:
        return State.WARNING, said, "questions that are longer are refused; lower TESSERA_MAX_TOKENS"
    return State.OK, said, ""
