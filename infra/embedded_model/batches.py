"""Batches of dialogues drawn on the fly, rows of similar length together."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .corpus import Stage, example
from .vocabulary import ASSISTANT_ID

POOL = 2048


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a batch: ids [B, T], flat positions of the R predicted reply tokens in B x T, those tokens."""

    ids: Tensor
    where: Tensor
    target: Tensor


def batches(tokenizer: Tokenizer, stage: Stage, seed: int, tokens: int) -> Iterator[Part]:
    """Endless parts of at most ``tokens`` tokens, prompts and padding included."""
    rng = random.Random(seed)
    while True:
        texts = ["<s><user>{}<assistant>{}</s>".format(*example(rng, stage)) for _ in range(POOL)]
        encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        groups = list(_grouped(sorted((row.ids for row in encoded), key=len), tokens))
        rng.shuffle(groups)
        yield from map(_part, groups)


def _grouped(rows: list[list[int]], tokens: int) -> Iterator[list[list[int]]]:
    """Runs of rows (shortest first) whose padded size stays below ``tokens``."""
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
