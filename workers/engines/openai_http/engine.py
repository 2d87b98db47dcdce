"""One model of a vLLM server as an engine, and its LoRA adapters as scorers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import Prompt, Reply, Scorer, SeedScope, check_sampling, check_scoring
from workers.engines.calls import all_of
from workers.engines.openai_http.client import Client
from workers.engines.openai_http.completions import Request, drawing, scoring
from workers.engines.openai_http.drift import Watch
from workers.engines.openai_http.models import Served
from workers.engines.openai_http.response import Unusable, one_line
from workers.engines.tokenizer import ChatTokenizer
from workers.errors import EngineRejected, SettingsError

T = TypeVar("T")


class HttpScorer:
    """A model of the server behind `client`. `watch` knows what it was at the start; None: this is the start."""

    def __init__(self, client: Client, served: Served, framing: ChatTokenizer, watch: Watch | None = None) -> None:
        self._client, self._name, self._framing, self._watch = client, served.name, framing, watch
        self.identity, self.limits = served.identity, served.limits

    def encode(self, turn: str) -> Prompt:
        return self._framing.encode(turn)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        check_scoring(prompt, replies, self.limits)
        wanted = [scoring(self._name, prompt, reply.token_ids) for reply in replies]
        scores = await all_of(self._judged(request, Watch.still_scores) for request in wanted)
        return np.array(scores, dtype=np.float64)

    async def close(self) -> None:
        """Only what is its own."""
        if self._watch is not None:
            await self._watch.close()

    async def _judged(self, request: Request[T], still_works: Callable[[Watch], Awaitable[None]]) -> T:
        """The answer of the model that was opened.

        None, or a refusal of what is within the limits, is the server's fault, or this input's where `still_works`.
        Without that, a record on which a sound server always fails would be waited for without end, and a server that
        fails on all would have every record given up.
        """
        try:
            answer = await request.sent(self._client)
        except (Unusable, EngineRejected) as failure:
            if self._watch is None:
                raise
            await still_works(self._watch)
            raise EngineRejected(f"the server answers others, but fails on this input: {failure}") from failure
        if self._watch is not None:
            await self._watch.verify()
        return answer


class HttpEngine(HttpScorer):
    """The model that replies are drawn from. `adapters` are the server's others that rest on it, by name."""

    seed_scope: SeedScope = "reply"

    def __init__(
        self,
        client: Client,
        served: Served,
        framing: ChatTokenizer,
        watch: Watch | None = None,
        adapters: Mapping[str, HttpScorer] | None = None,
    ) -> None:
        super().__init__(client, served, framing, watch)
        self._adapters = adapters or {}

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        check_sampling(prompt, max_tokens, self.limits)
        wanted = [drawing(self._name, prompt, max_tokens, seed, self.limits) for seed in seeds]
        drawn = await all_of(self._judged(request, Watch.still_draws) for request in wanted)
        return tuple(Reply(ids, self._framing.decode(ids), log_q, finished) for ids, log_q, finished in drawn)

    def adapter(self, name: str) -> Scorer:
        if name not in self._adapters:
            names = one_line(", ".join(sorted(self._adapters)) or "none")
            raise SettingsError(f"{self._client.url} serves no adapter {name!r} of {self._name!r}; it serves: {names}")
        return self._adapters[name]

    async def close(self) -> None:
        for scorer in self._adapters.values():
            await scorer.close()
        await super().close()
        await self._client.close()
