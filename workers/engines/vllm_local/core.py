"""vLLM and what its requests have in common: numbers, scheduler, time limit and the meaning of its errors."""

import asyncio
import itertools
from collections.abc import Sequence
from functools import partial

from vllm import SamplingParams
from vllm.exceptions import MaxQueuedTokensError, QueueOverflowError, VLLMClientError
from vllm.inputs import TokensPrompt
from vllm.lora.request import LoRARequest
from vllm.outputs import RequestOutput
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from workers.engines.vllm_local.heartbeat import Heartbeat, silence_s
from workers.engines.vllm_local.process import Background, Guard
from workers.engines.vllm_local.requests import PromptScoring, ScoringRequest, SuffixScoring, drawing
from workers.engines.vllm_local.scheduling import RequestPriority, Scheduler
from workers.errors import EngineError, EngineGone, EngineRejected, EngineUnavailable

STARTING_S = 600.0  # for one of the first requests, which compile
CLOSING_S = 10.0  # for the engine core to end by itself
NO_REPLY = ("abort", "error")  # finish reasons of an answer that is not one


class Core:
    """`scheduler` says when a request is served, and how many vLLM takes at once."""

    def __init__(self, llm: AsyncLLM, timeout_s: float, guard: Guard, scheduler: Scheduler) -> None:
        self._llm: AsyncLLM | None = llm
        self._guard, self._timeout_s, self.scheduler = guard, timeout_s, scheduler
        self._heart = Heartbeat(self._sign_of_life, silence_s(timeout_s))
        self._requests = itertools.count()
        self.scoring: ScoringRequest = SuffixScoring() if llm.vllm_config.use_v2_model_runner else PromptScoring()

    async def begin(self) -> None:
        """Draw and score once, which compiles, and may take minutes. From now on the core has to answer in time."""
        await self.run((0,), drawing(0, 1), self.scheduler.drawing(), None)
        await self.run((0, 0), self.scoring.request((0,), (0,)), self.scheduler.scoring(), None)
        self._heart.begin()

    async def run(
        self, ids: Sequence[int], params: SamplingParams, turn: RequestPriority, adapter: LoRARequest | None
    ) -> RequestOutput:
        """The finished request; its time counts from when vLLM has it.

        Cancelling the call, or its time limit, frees the request in vLLM.
        """
        async with turn.places:
            output = await self._answered(ids, params, turn.priority, adapter)
        if output.outputs[0].finish_reason in NO_REPLY:
            raise EngineUnavailable("vLLM ended a request before it was answered")
        return output

    async def _answered(
        self, ids: Sequence[int], params: SamplingParams, priority: int, adapter: LoRARequest | None
    ) -> RequestOutput:
        try:
            async with self._heart.within(self._timeout_s if self._heart.began else STARTING_S):
                return await self._output(ids, params, priority, adapter)
        except (QueueOverflowError, MaxQueuedTokensError) as error:
            raise EngineUnavailable(f"vLLM's queue is full: {error}") from error
        except EngineDeadError as error:
            raise _gone(error) from error
        except EngineGenerateError as error:
            raise await self._judged(error) from error
        except VLLMClientError as error:
            raise EngineRejected(f"vLLM refuses the request: {error}") from error

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
                await self._output((0,), drawing(0, 1), self.scheduler.scoring().priority, None)
        except (EngineDeadError, EngineGenerateError, EngineGone, TimeoutError):
            return _gone(error.__cause__ or error)
        except (QueueOverflowError, MaxQueuedTokensError, VLLMClientError) as busy:
            return EngineUnavailable(f"vLLM failed on a request, and does not take another: {busy}")
        return EngineRejected(f"vLLM fails on this request, and on no other: {error.__cause__ or error}")

    @property
    def unfinished(self) -> int:
        """Requests that vLLM still holds."""
        return 0 if self._llm is None else int(self._llm.get_num_unfinished_requests())

    async def close(self) -> None:
        """May take seconds, in which the event loop works on. vLLM's last reference is dropped on the loop's thread.

        vLLM's reader of answers is ended first: it would take the end of the others for the death of the core, and
        print it.
        """
        llm, self._llm = self._llm, None
        if llm is None:
            return
        if llm.output_handler is not None:
            llm.output_handler.cancel()
        ending = Background(partial(self._shut_down, llm))  # whoever stops waiting for it does not stop it
        ending.start()
        await self._heart.close()
        await ending.result()

    def _shut_down(self, llm: AsyncLLM) -> None:
        """A core that is silent is not waited for."""
        try:
            if self._heart.stopped:
                self._guard.end()
            llm.shutdown(timeout=CLOSING_S)
        finally:
            self._guard.close()

    async def _sign_of_life(self) -> None:
        """A round trip through the engine core's own loop, which answers between two steps."""
        if self._llm is not None:
            await self._llm.is_sleeping()


def _gone(error: BaseException) -> EngineGone:
    return EngineGone(f"vLLM's engine core is gone; this process cannot get another: {error}")
