"""CTranslate2 in this process: sampling with exact log-probabilities at temperature 1, scoring of token ids.

CTranslate2's random seed is one number for the whole process, read by a worker thread once, at its first draw. So each
call of `sample` gets a generator of its own under a lock. Its replies are drawn as one batch, three times faster than
one by one, and so depend on all seeds of the call together. One thread per generator: with more, OpenMP's busy waiting
stops a machine that has other work.
"""

import asyncio
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from workers.engines.base import Identity, Limits, Prompt, Reply, Scorer, SeedScope, check_sampling, check_scoring
from workers.engines.embedded.files import Files, ct2_files
from workers.engines.log_probs import total
from workers.engines.model_folder import ModelFolder, named
from workers.engines.tokenizer import ChatTokenizer
from workers.errors import SettingsError

MODEL = Path(__file__).parent / "model"
ROWS_AT_ONCE = 8
SCORED_AT_ONCE = 1 << 25  # log-probabilities, [rows, tokens, vocabulary] numbers, held in memory where a row is less
CT2_SEED_MASK = 0x7FFF_FFFF

_SEED = threading.Lock()  # held from setting the process-wide seed until the last draw that may read it


class EmbeddedEngine:
    """A CTranslate2 model. It scores `threads` prompts at once, and draws one auction's candidates beside them."""

    seed_scope: SeedScope = "call"

    def __init__(self, files: Files | None = None, *, threads: int = 2, system: str = "") -> None:
        """`files`: without any, those of the bundled model. `system`: the system line before every user turn."""
        files = files or bundled()
        self._ct2 = ct2_files(files.ct2)
        self._framing = ChatTokenizer(files.folder.path, system)
        self._tokens: list[str] = json.loads(self._ct2["vocabulary.json"])
        self._ends = files.ends
        self._scorer = self._generator(threads)
        self._sampling = ThreadPoolExecutor(1, "embedded-sampling")
        self._scoring = ThreadPoolExecutor(threads, "embedded-scoring")
        self.limits = Limits(len(self._tokens), files.context)
        self.identity = Identity(
            name=named(files.name, files.folder.temperature),
            version=f"ctranslate2 {ctranslate2.__version__}",
            model_sha256=sha256(self._ct2["model.bin"]).hexdigest(),
            tokenizer_sha256=self._framing.sha256,
            calls="generate_batch draws, forward_batch scores",
        )

    def encode(self, turn: str) -> Prompt:
        return self._framing.encode(turn)

    async def sample(self, prompt: Prompt, *, seeds: Sequence[int], max_tokens: int) -> tuple[Reply, ...]:
        check_sampling(prompt, max_tokens, self.limits)
        loop = asyncio.get_running_loop()
        drawn = await loop.run_in_executor(self._sampling, self._draw, prompt, tuple(seeds), max_tokens)
        scores = await loop.run_in_executor(self._scoring, self._score, prompt, drawn)
        return tuple(self._reply(ids, log_q) for ids, log_q in zip(drawn, scores, strict=True))

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        check_scoring(prompt, replies, self.limits)
        ids = [reply.token_ids for reply in replies]
        scores = await asyncio.get_running_loop().run_in_executor(self._scoring, self._score, prompt, ids)
        return np.array(scores, dtype=np.float64)

    def adapter(self, name: str) -> Scorer:
        raise SettingsError(f"the engine `embedded` takes no LoRA adapters; {name!r} needs one that does: vllm:MODEL")

    async def close(self) -> None:
        for pool in (self._sampling, self._scoring):
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
        self._scorer.unload_model()

    def _generator(self, workers: int) -> ctranslate2.Generator:
        return ctranslate2.Generator(
            "embedded", device="cpu", compute_type="float32", inter_threads=workers, intra_threads=1, files=self._ct2
        )

    def _reply(self, token_ids: tuple[int, ...], log_q: float) -> Reply:
        return Reply(token_ids, self._framing.decode(token_ids), log_q, token_ids[-1] in self._ends)

    def _draw(self, prompt: Prompt, seeds: Sequence[int], max_tokens: int) -> list[tuple[int, ...]]:
        start = [self._tokens[token] for token in prompt]
        with _SEED:
            ctranslate2.set_random_seed(_fold(seeds))
            results = self._generator(1).generate_batch(
                [start] * len(seeds),
                max_length=max_tokens,
                sampling_topk=0,
                sampling_topp=1.0,
                sampling_temperature=1.0,
                end_token=list(self._ends),
                return_end_token=True,
                include_prompt_in_result=False,
                cache_static_prompt=False,
            )
        return [tuple(result.sequences_ids[0]) for result in results]

    def _score(self, prompt: Prompt, replies: Sequence[tuple[int, ...]]) -> list[float]:
        """Log-probability of each reply behind `prompt`, nats."""
        row = (len(prompt) + max(map(len, replies), default=0)) * self.limits.vocabulary
        step = max(1, min(ROWS_AT_ONCE, SCORED_AT_ONCE // row))
        starts = range(0, len(replies), step)
        return [score for start in starts for score in self._score_rows(prompt, replies[start : start + step])]

    def _score_rows(self, prompt: Prompt, replies: Sequence[tuple[int, ...]]) -> list[float]:
        rows = [[*prompt, *reply] for reply in replies]
        table = np.asarray(self._scorer.forward_batch(rows, return_log_probs=True))
        first = len(prompt) - 1  # the row that predicts a reply's first token
        return [total(table[row, first + np.arange(len(reply)), reply].tolist()) for row, reply in enumerate(replies)]


def _fold(seeds: Sequence[int]) -> int:
    """One 31-bit seed from all of them."""
    text = b"".join(seed.to_bytes(8, "big") for seed in seeds)
    return int.from_bytes(sha256(text).digest()[:4], "big") & CT2_SEED_MASK


def bundled() -> Files:
    """Those of the model in this package."""
    return Files("embedded", ModelFolder(MODEL / "hf"), MODEL / "ct2")
