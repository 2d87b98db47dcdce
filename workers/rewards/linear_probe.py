"""A linear function of an embedding in place of a scoring pass for each advertiser (the paper's §4.1)."""

import asyncio
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.engines.base import Embedder
from workers.engines.lazy import Late
from workers.engines.prompts import reference_turn
from workers.errors import EngineError
from workers.rewards.base import Candidates
from workers.rewards.by_advertiser import origin_of
from workers.rewards.weights import Weights


class Embeddings:
    """The embeddings of an auction's candidates behind the question alone: asked for once, whoever needs them.

    No advertiser's text enters, so that all probes on one embedder share one pass over the candidates. An advertiser
    that stops waiting does not end the pass for the others.
    """

    def __init__(self, embedder: Late[Embedder]) -> None:
        self.embedder = embedder
        self._passes: WeakKeyDictionary[Candidates, asyncio.Task[NDArray[np.float64]]] = WeakKeyDictionary()

    async def of(self, candidates: Candidates) -> NDArray[np.float64]:
        """[M, dimensions]"""
        begun = self._passes.get(candidates)
        if begun is None:
            begun = self._passes[candidates] = asyncio.create_task(self._embed(candidates))
            begun.add_done_callback(_seen)
        return await asyncio.shield(begun)

    async def _embed(self, candidates: Candidates) -> NDArray[np.float64]:
        embedder = await self.embedder.at_work()
        return await embedder.embed(embedder.encode(reference_turn(candidates.question)), candidates.replies)


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """value · (w·e(x, y) + b): `weights` were fitted so that w·e + b approximates the log-ratio in nats."""

    embeddings: Embeddings
    weights: Weights

    @property
    def origin(self) -> str | None:
        model = self.embeddings.embedder.model
        return origin_of("linear_probe", self.weights.sha256, model.identity.model_sha256) if model else None

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        embedded = await self.embeddings.of(candidates)
        if embedded.shape != (len(candidates.replies), len(self.weights.w)):
            raise EngineError(f"embeddings of shape {embedded.shape} for a probe of {len(self.weights.w)} dimensions")
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is its advertiser's abstention
            nats = embedded @ self.weights.w + self.weights.b
            return np.asarray(advertiser.value_micros_per_nat * nats)


def _seen(task: "asyncio.Task[NDArray[np.float64]]") -> None:
    """A failure reaches all who wait; where nobody waits any more there is nobody to tell."""
    if not task.cancelled():
        task.exception()
