"""Muon, momentum made orthogonal by a Newton-Schulz iteration, for matrices (K. Jordan and others, 2024)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from .network import Block

#: Coefficients of the quintic iteration.
A, B, C = 3.4445, -4.7750, 2.0315


def orthogonal(update: Tensor, steps: int = 5) -> Tensor:
    """Move every matrix of [N, rows, columns], rows <= columns, towards one with orthonormal rows."""
    x: Tensor = update / (update.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x


def _flat(matrix: Tensor) -> Tensor:
    """With no more rows than columns."""
    return matrix if matrix.shape[-2] <= matrix.shape[-1] else matrix.mT


class Muon:
    """The optimiser of the matrices in the blocks of the network."""

    def __init__(self, blocks: list[Block], momentum: float = 0.95, decay: float = 0.02) -> None:
        #: Matrices of one shape; in this order two threads get equal work.
        names = ("up", "qkv", "down", "out")
        self.groups: list[list[nn.Parameter]] = [[getattr(block, name) for block in blocks] for name in names]
        self.momentum, self.decay = momentum, decay
        self.parameters = [p for group in self.groups for p in group]
        self.buffers = {id(p): torch.zeros_like(p) for p in self.parameters}

    def step(self, rate: float, pool: ThreadPoolExecutor) -> None:
        """Update every matrix from its gradient, the groups side by side, and drop the gradients."""
        list(pool.map(lambda group: self._update(group, rate), self.groups))

    @torch.no_grad()
    def _update(self, group: list[nn.Parameter], rate: float) -> None:
        moves = [self._move(p) for p in group]
        updates = torch.split(orthogonal(torch.cat(moves)), [len(move) for move in moves])
        for p, update in zip(group, updates, strict=True):
            tall = p.shape[-2] > p.shape[-1]
            scale = max(1.0, p.shape[-2] / p.shape[-1]) ** 0.5
            p.mul_(1 - rate * self.decay).add_((update.mT if tall else update).reshape(p.shape), alpha=-rate * scale)
            p.grad = None

    def state(self) -> list[Tensor]:
        """The momentum of every matrix, in the order of `parameters`."""
        return [self.buffers[id(p)] for p in self.parameters]

    def restore(self, kept: list[Tensor]) -> None:
        """The inverse of `state`."""
        self.buffers = {id(p): buffer.clone() for p, buffer in zip(self.parameters, kept, strict=True)}

    def _move(self, p: nn.Parameter) -> Tensor:
        """Nesterov momentum of one parameter as a batch of matrices."""
        if p.grad is None:
            raise RuntimeError("a matrix has no gradient")
        buffer = self.buffers[id(p)]
        buffer.lerp_(p.grad, 1 - self.momentum)
        return _flat(p.grad.lerp(buffer, self.momentum).view(-1, *p.shape[-2:]))
