"""Sampling and scoring with CTranslate2 in float32, whatever precision the weights are stored in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from tokenizers import Tokenizer

from .tables import Array

MAX_TOKENS = 140


@dataclass(frozen=True, slots=True)
class Files:
    """Where the model lies: CTranslate2 folder and tokenizer."""

    ct2: Path
    tokenizer: Path


class Sampler:
    """One generator and its own seed; the same calls in the same order give the same replies."""

    def __init__(self, files: Files, seed: int, threads: int = 1, longest: int = MAX_TOKENS) -> None:
        ctranslate2.set_random_seed(seed)
        self.longest = longest
        self.tokenizer = Tokenizer.from_file(str(files.tokenizer))
        self.generator = ctranslate2.Generator(
            str(files.ct2), device="cpu", compute_type="float32", intra_threads=threads
        )

    def prompt(self, turn: str) -> list[str]:
        """Tokens of the chat template around one user turn."""
        return list(self.tokenizer.encode(f"<s><user>{turn}<assistant>", add_special_tokens=False).tokens)

    def sample(self, prompt: list[str], count: int) -> list[ctranslate2.GenerationResult]:
        """Independent replies at temperature 1, no truncation of the distribution."""
        return list(
            self.generator.generate_batch(
                [prompt] * count,
                max_length=self.longest,
                sampling_topk=0,
                sampling_topp=1.0,
                sampling_temperature=1.0,
                return_scores=True,
                include_prompt_in_result=False,
                end_token="</s>",
            )
        )

    def replies(self, prompt: list[str], count: int) -> list[list[str]]:
        """Token lists of sampled replies."""
        return [result.sequences[0] for result in self.sample(prompt, count)]

    def score(self, prompt: list[str], replies: list[list[str]]) -> Array:
        """Log-probabilities [M] of the replies in nats, end token included."""
        rows = [prompt + reply + (["</s>"] if len(reply) < self.longest else []) for reply in replies]
        results = self.generator.score_batch(rows)
        return np.array([sum(result.log_probs[len(prompt) - 1 :]) for result in results])

    def text(self, reply: list[str]) -> str:
        """Plain text of a reply."""
        ids = [self.tokenizer.token_to_id(token) for token in reply]
        return str(self.tokenizer.decode([number for number in ids if number is not None]))

    def answers(self, turn: str, count: int) -> list[str]:
        """Sampled replies as text."""
        return [self.text(reply) for reply in self.replies(self.prompt(turn), count)]
