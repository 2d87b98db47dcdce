"""Batches of dialogues drawn on the fly, rows of similar length together."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .corpus import example
from .vocabulary import ASSISTANT_ID

BLOCK = 2048


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a batch: ids [B, T], flat positions of the R predicted reply tokens in B x T, those tokens."""

    ids: Tensor
    where: Tensor
    target: Tensor


class Batches:
    """Endless batches of `parts` parts; `taken` (blocks, parts of the block) says where it stands and sets it back.

    Every block of dialogues has a seed of its own, so a run that goes on from a checkpoint sees what it would have
    seen without the break.
    """

    def __init__(self, tokenizer: Tokenizer, seed: int, tokens: int, taken: tuple[int, int] = (0, 0)) -> None:
        self._tokenizer, self._seed, self._tokens = tokenizer, seed, tokens
        self.taken = taken
        self._block = self._make(taken[0])

    def take(self, parts: int) -> list[Part]:
        """The next `parts` parts, prompts and padding included at most `tokens` tokens each."""
        return [self._next() for _ in range(parts)]

    def _next(self) -> Part:
        block, place = self.taken
        if place == len(self._block):
            block, place = block + 1, 0
            self._block = self._make(block)
        self.taken = (block, place + 1)
        return _part(self._block[place])

    def _make(self, block: int) -> list[list[list[int]]]:
        rng = random.Random(f"{self._seed}/{block}")
        rows = encode(self._tokenizer, [example(rng) for _ in range(BLOCK)])
        groups = list(_grouped(rows, self._tokens))
        rng.shuffle(groups)
        return groups


def fixed_parts(tokenizer: Tokenizer, seed: str, count: int, tokens: int) -> list[Part]:
    """`count` dialogues that no block of training draws, to measure the loss on."""
    rng = random.Random(seed)
    return [_part(group) for group in _grouped(encode(tokenizer, [example(rng) for _ in range(count)]), tokens)]


def encode(tokenizer: Tokenizer, pairs: list[tuple[str, str]]) -> list[list[int]]:
    """Token ids of the dialogues, shortest first."""
    texts = [f"<s><user>{turn}<assistant>{reply}</s>" for turn, reply in pairs]
    return sorted((row.ids for row in tokenizer.encode_batch_fast(texts, add_special_tokens=False)), key=len)


def _grouped(rows: list[list[int]], tokens: int) -> Iterator[list[list[int]]]:
    """Runs of rows (shortest first) whose padded size stays below `tokens`."""
    start = 0
    while start < len(rows):
        stop = start + 1
        while stop < len(rows) and len(rows[stop]) * (stop + 1 - start) <= tokens:
            stop += 1
        yield rows[start:stop]
        start = stop


def _part(rows: list[list[int]]) -> Part:
    ids = torch.zeros(len(rows), max(map(len, rows)) - 1, dtype=torch.long)
    where: list[int] = []
    target: list[int] = []
    for index, row in enumerate(rows):
        ids[index, : len(row) - 1] = torch.tensor(row[:-1])
        first = row.index(ASSISTANT_ID)
        where.extend(range(index * ids.shape[1] + first, index * ids.shape[1] + len(row) - 1))
        target.extend(row[first + 1 :])
    return Part(ids, torch.tensor(where), torch.tensor(target))
