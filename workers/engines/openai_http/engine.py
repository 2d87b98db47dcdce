"""One model of a vLLM server as an engine, and its LoRA adapters as scorers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from workers.engines.all_of import all_of
from workers.engines.base import Identity, Limits, Prompt, Reply, Scorer, SeedScope, check_sampling, check_scoring
from workers.engines.framing import Framing
from workers.engines.openai_http.answer import Unusable
from workers.engines.openai_http.client import Client, Read
from workers.engines.openai_http.completions import (
    PATH,
    Drawn,
    drawn_reply,
    limit_bytes,
    sampling_body,
    scored_reply,
    scoring_body,
)
from workers.errors import EngineRejected, SettingsError

T = TypeVar("T")
Known = tuple[Prompt, Reply]  # what the server has shown that it can score


@dataclass(frozen=True, slots=True)
class Served:
    """A model of the server: its name there, who it is, and what it can take."""

    name: str
    identity: Identity
    limits: Limits


class HttpScorer:
    """A model of the server behind `client`. `known` is what it can score; None: nothing yet."""

    def __init__(self, client: Client, served: Served, framing: Framing, known: Known | None) -> None:
        self._client, self._name, self._framing, self._known = client, served.name, framing, known
        self.identity, self.limits = served.identity, served.limits

    def encode(self, turn: str) -> Prompt:
        return self._framing.encode(turn)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        check_scoring(prompt, replies, self.limits)
        scores = await all_of(self._judged(*self._scoring(prompt, reply)) for reply in replies)
        return np.array(scores, dtype=np.float64)

    def _scoring(self, prompt: Prompt, reply: Reply) -> tuple[dict[str, Any], Read[float]]:
        ids = reply.token_ids
        return scoring_body(self._name, prompt, ids), lambda answer: scored_reply(answer, prompt, ids)

    async def _judged(self, body: dict[str, Any], read: Read[T]) -> T:
        """The answer. An unusable one is the server's fault, or this input's where it still scores what it could.

        Without that, a record on which a sound server always fails would be waited for without end.
        """
        try:
            return await self._client.post(PATH, body, read, limit_bytes(body))
        except Unusable as unusable:
            if self._known is None:
                raise
            known, read_known = self._scoring(*self._known)
            await self._client.post(PATH, known, read_known, limit_bytes(known))
            raise EngineRejected(f"the server answers others, but fails on this input: {unusable}") from unusable


class HttpEngine(HttpScorer):
    """The model that replies are drawn from. `adapters` are the server's others that rest on it, by name."""

    seed_scope: SeedScope = "reply"

    def __init__(
        self, client: Client, served: Served, framing: Framing, known: Known | None, adapters: Mapping[str, Served]
    ) -> None:
        super().__init__(client, served, framing, known)
        self._adapters = adapters

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        check_sampling(prompt, max_tokens, self.limits)
        drawn = await all_of(self._judged(*self._drawing(prompt, seed, max_tokens)) for seed in seeds)
        return tuple(Reply(ids, self._framing.decode(ids), log_q, finished) for ids, log_q, finished in drawn)

    def adapter(self, name: str) -> Scorer:
        if name not in self._adapters:
            names = ", ".join(sorted(self._adapters)) or "none"
            raise SettingsError(f"{self._client.url} serves no adapter {name!r} of {self._name!r}; it serves: {names}")
        return HttpScorer(self._client, self._adapters[name], self._framing, self._known)

    async def close(self) -> None:
        await self._client.close()

    def _drawing(self, prompt: Prompt, seed: int, max_tokens: int) -> tuple[dict[str, Any], Read[Drawn]]:
        body = sampling_body(self._name, prompt, max_tokens, seed)
        return body, lambda answer: drawn_reply(answer, max_tokens, self.limits)
