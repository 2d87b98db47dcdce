"""vLLM's asynchronous engine behind our protocol: every reply is a request of its own, drawn or scored.

On a CPU in float32 a reply depends on prompt and seed only. On a GPU the batch it is computed in moves its logits a
little, so that the same call may give other replies; VLLM_BATCH_INVARIANT=1 is vLLM's way to prevent it.
"""

import asyncio
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from vllm import SamplingParams
from vllm.exceptions import MaxQueuedTokensError, QueueOverflowError, VLLMClientError
from vllm.inputs import TokensPrompt
from vllm.lora.request import LoRARequest
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from workers.engines.all_of import all_of
from workers.engines.base import Identity, Limits, Prompt, Reply, Scorer, SeedScope, check_sampling, check_scoring
from workers.engines.framing import Framing
from workers.engines.nats import total
from workers.engines.vllm_local.requests import PromptScoring, Scoring, SuffixScoring, drawing
from workers.engines.vllm_local.starting import Guard
from workers.errors import EngineError, EngineGone, EngineRejected, EngineTimeout, EngineUnavailable, SettingsError

CLOSING_S = 10.0  # for the engine core to end by itself
BEHIND_SCORING = 1 << 48  # calls
NO_REPLY = ("abort", "error")  # finish reasons of an answer that is not one


class Core:
    """vLLM and what its requests have in common: numbers, priority, time limit and the meaning of its errors.

    Priority is the order of calls.
    """

    def __init__(self, llm: AsyncLLM, timeout_s: float, guard: Guard) -> None:
        self._llm: AsyncLLM | None = llm
        self._guard = guard
        self._timeout_s = timeout_s
        self._calls, self._requests = itertools.count(), itertools.count()
        self.scoring: Scoring = SuffixScoring() if llm.vllm_config.use_v2_model_runner else PromptScoring()

    def scoring_priority(self) -> int:
        """Of all requests of one call. vLLM serves lower numbers first: what came earlier."""
        return next(self._calls)

    def drawing_priority(self) -> int:
        """Behind all scoring: an auction whose replies are being scored is older than one that has none yet."""
        return BEHIND_SCORING + next(self._calls)

    async def run(
        self, ids: Sequence[int], params: SamplingParams, priority: int, adapter: LoRARequest | None
    ) -> RequestOutput:
        """The finished request. Cancelling the call, or its time limit, frees the request in vLLM."""
        try:
            async with asyncio.timeout(self._timeout_s):
                output = await self._output(ids, params, priority, adapter)
        except TimeoutError as error:
            raise EngineTimeout(f"vLLM gave no answer within {self._timeout_s:g} s") from error
        except (QueueOverflowError, MaxQueuedTokensError) as error:
            raise EngineUnavailable(f"vLLM's queue is full: {error}") from error
        except EngineDeadError as error:
            raise _gone(error) from error
        except EngineGenerateError as error:
            raise await self._judged(error) from error
        except VLLMClientError as error:
            raise EngineRejected(f"vLLM refuses the request: {error}") from error
        if output.outputs[0].finish_reason in NO_REPLY:
            raise EngineUnavailable("vLLM ended a request before it was answered")
        return output

    async def _output(
        self, ids: Sequence[int], params: SamplingParams, priority: int, adapter: LoRARequest | None
    ) -> RequestOutput:
        if self._llm is None:
            raise EngineGone("the engine is closed")
        prompt, number = TokensPrompt(prompt_token_ids=list(ids)), str(next(self._requests))
        outputs = self._llm.generate(prompt, params, number, priority=priority, lora_request=adapter)
        return [output async for output in outputs][-1]

    async def _judged(self, error: EngineGenerateError) -> EngineError:
        """Whose fault a failed request is: its own only if the core lives and still answers a request of one token."""
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._llm is not None:
                    await self._llm.check_health()
                await self._output((0,), drawing(0, 1), self.scoring_priority(), None)
        except (EngineDeadError, EngineGenerateError, EngineGone, TimeoutError):
            return _gone(error.__cause__ or error)
        except (QueueOverflowError, MaxQueuedTokensError, VLLMClientError) as busy:
            return EngineUnavailable(f"vLLM failed on a request, and does not take another: {busy}")
        return EngineRejected(f"vLLM fails on this request, and on no other: {error.__cause__ or error}")

    @property
    def unfinished(self) -> int:
        """Requests that vLLM still holds."""
        return 0 if self._llm is None else int(self._llm.get_num_unfinished_requests())

    def close(self) -> None:
        """Blocks for seconds. On the event loop's thread, and with the last reference dropped, vLLM ends silently."""
        llm, self._llm = self._llm, None
        if llm is not None:
            llm.shutdown(timeout=CLOSING_S)
            self._guard.close()


def _gone(error: BaseException) -> EngineGone:
    return EngineGone(f"vLLM's engine core is gone; this process cannot get another: {error}")


class VllmScorer:
    """The model, or the model with one LoRA adapter, as a scorer."""

    def __init__(
        self, core: Core, framing: Framing, identity: Identity, limits: Limits, lora: LoRARequest | None = None
    ) -> None:
        self.core, self.framing, self.identity, self.limits, self._lora = core, framing, identity, limits, lora

    def encode(self, turn: str) -> Prompt:
        return self.framing.encode(turn)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        check_scoring(prompt, replies, self.limits)
        call = self.core.scoring_priority()
        return np.array(await all_of(self._nats(prompt, one.token_ids, call) for one in replies), np.float64)

    async def _nats(self, prompt: Prompt, reply: Sequence[int], call: int) -> float:
        scoring = self.core.scoring
        output = await self.core.run((*prompt, *reply), scoring.request(prompt, reply), call, self._lora)
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
        call = self._core.drawing_priority()
        requests = [drawing(seed, max_tokens) for seed in seeds]
        outputs = await all_of(self._core.run(prompt, request, call, None) for request in requests)
        return tuple(self._reply(output.outputs[0]) for output in outputs)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        return await self._base.log_probs(prompt, replies)

    def adapter(self, name: str) -> Scorer:
        if name not in self._adapters:
            known = ", ".join(self._adapters) or "none"
            raise SettingsError(f"the engine has no LoRA adapter {name!r}; TESSERA_VLLM_ADAPTERS names: {known}")
        return self._adapters[name]

    async def close(self) -> None:
        self._core.close()

    @property
    def unfinished(self) -> int:
        """Requests that vLLM still holds."""
        return self._core.unfinished

    def _reply(self, completion: CompletionOutput) -> Reply:
        """vLLM counts the end token, and any other that stops the model, as the reply's last."""
        ids = tuple(completion.token_ids)
        log_q = total(completion.logprobs.logprobs)
        return Reply(ids, self._base.framing.decode(ids), log_q, completion.finish_reason == "stop")
