"""vLLM's asynchronous engine behind our protocol: every reply is a request of its own, drawn or scored.

On a CPU in float32 a reply depends on prompt and seed only. On a GPU the batch it is computed in moves its logits a
little, so that the same call may give other replies; VLLM_BATCH_INVARIANT=1 is vLLM's way to prevent it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from vllm.lora.request import LoRARequest
from vllm.outputs import CompletionOutput

from workers.engines.base import Identity, Limits, Prompt, Reply, Scorer, SeedScope, check_sampling, check_scoring
from workers.engines.calls import all_of
from workers.engines.tokenizer import ChatTokenizer
from workers.engines.vllm_local.core import Core
from workers.engines.vllm_local.requests import drawing, drawn_nats
from workers.engines.vllm_local.scheduling import RequestPriority
from workers.errors import SettingsError


class VllmScorer:
    """The model, or the model with one LoRA adapter, as a scorer."""

    def __init__(
        self, core: Core, framing: ChatTokenizer, identity: Identity, limits: Limits, lora: LoRARequest | None = None
    ) -> None:
        self.core, self.framing, self.identity, self.limits, self._lora = core, framing, identity, limits, lora

    def encode(self, turn: str) -> Prompt:
        return self.framing.encode(turn)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        check_scoring(prompt, replies, self.limits)
        turn = self.core.scheduler.scoring()
        return np.array(await all_of(self._nats(prompt, one.token_ids, turn) for one in replies), np.float64)

    async def _nats(self, prompt: Prompt, reply: Sequence[int], turn: RequestPriority) -> float:
        scoring = self.core.scoring
        output = await self.core.run((*prompt, *reply), scoring.request(prompt, reply), turn, self._lora)
        return scoring.nats(output, prompt, reply)


class VllmEngine:
    """`base`, which also draws replies, and its adapters by name.

    The texts of all replies are decoded, by the tokenizer here in microseconds: every candidate's is published.
    """

    seed_scope: SeedScope = "reply"

    def __init__(self, base: VllmScorer, adapters: Mapping[str, VllmScorer]) -> None:
        self._base, self._adapters, self._core = base, adapters, base.core
        self.identity, self.limits = base.identity, base.limits

    def encode(self, turn: str) -> Prompt:
        return self._base.encode(turn)

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        check_sampling(prompt, max_tokens, self.limits)
        turn = self._core.scheduler.drawing()
        requests = [drawing(seed, max_tokens) for seed in seeds]
        outputs = await all_of(self._core.run(prompt, request, turn, None) for request in requests)
        return tuple(self._reply(output.outputs[0]) for output in outputs)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        return await self._base.log_probs(prompt, replies)

    def adapter(self, name: str) -> Scorer:
        if name not in self._adapters:
            known = ", ".join(self._adapters) or "none"
            raise SettingsError(f"the engine has no LoRA adapter {name!r}; TESSERA_VLLM_ADAPTERS names: {known}")
        return self._adapters[name]

    async def close(self) -> None:
        await self._core.close()

    @property
    def unfinished(self) -> int:
        """Requests that vLLM still holds."""
        return self._core.unfinished

    def _reply(self, completion: CompletionOutput) -> Reply:
        """vLLM counts the end token, and any other that stops the model, as the reply's last."""
        ids = tuple(completion.token_ids)
        return Reply(ids, self._base.framing.decode(ids), drawn_nats(completion), completion.finish_reason == "stop")
