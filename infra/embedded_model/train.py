"""Train the demonstration language model from scratch and export it in the Hugging Face Llama format.

    python -m infra.embedded_model.train --out weights

Only the reply part of the dialogues, drawn on the fly from ``corpus.py``, is
learnt: matrices with Muon, embeddings and norms with AdamW.  The learning rate
is constant after a short warm-up and falls linearly to zero over the second
half of ``--steps``, or of ``--minutes`` where the time runs out first.

Requirements: torch, transformers, tokenizers (used: 2.13, 5.19, 0.23), and a
C++ compiler unless ``--no-compile`` is given.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from .batches import Part, batches
from .corpus import FIRST, SECOND
from .muon import Muon
from .network import Model, export, load_llama
from .vocabulary import train_tokenizer

WARM_UP_STEPS = 50


def accumulate(
    model: Callable[..., Tensor], parameters: list[nn.Parameter], parts: list[Part], pool: ThreadPoolExecutor
) -> tuple[float, int]:
    """Add up the gradient of the mean loss over ``parts``, which idle threads pick up; loss and tokens.

    Independent single-threaded workers cope better with a busy machine than
    one computation that all cores must finish together.
    """
    total = sum(len(part.target) for part in parts)

    def work(part: Part) -> tuple[float, tuple[Tensor, ...]]:
        loss = model(part.ids, part.where, part.target) * (len(part.target) / total)
        return loss.item(), torch.autograd.grad(loss, parameters)

    value = 0.0
    for loss, grads in pool.map(work, parts):
        value += loss
        for p, grad in zip(parameters, grads, strict=True):
            p.grad = grad if p.grad is None else p.grad.add_(grad)
    return value, sum(part.ids.numel() for part in parts)


def learning_rate(progress: float, step: int, decay_from: float) -> float:
    """Share of the full rate: warm-up, constant, then linear to zero as ``progress`` goes to one."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return warm * min(1.0, max(0.0, (1 - progress) / (1 - decay_from)))


class Trainer:
    """Model, optimisers and counters of one run."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        start: Path | None = args.init
        self.tokenizer = Tokenizer.from_file(str(start / "tokenizer.json")) if start else train_tokenizer(args.vocab)
        self.model = Model(self.tokenizer.get_vocab_size(), args.width, args.layers, args.inner, args.heads)
        if start:
            load_llama(self.model, start)
        self.loss = torch.compile(self.model, dynamic=True) if args.compile else self.model
        self.muon = Muon(self.model.layers)
        matrices = {id(p) for p in self.muon.parameters}
        others = [p for p in self.model.parameters() if id(p) not in matrices]
        self.adam = torch.optim.AdamW(others, lr=args.adam_rate, betas=(0.9, 0.98), weight_decay=0.0)
        self.pool = ThreadPoolExecutor(args.threads)
        self.steps = self.seen = 0

    def step(self, parts: list[Part], rate: float) -> float:
        """One update with the learning rates scaled by ``rate``; the loss in nats per reply token."""
        loss, tokens = accumulate(self.loss, list(self.model.parameters()), parts, self.pool)
        self.muon.step(self.args.muon_rate * rate, self.pool)
        for group in self.adam.param_groups:
            group["lr"] = self.args.adam_rate * rate
        self.adam.step()
        self.adam.zero_grad()
        self.steps, self.seen = self.steps + 1, self.seen + tokens
        return loss


class Journal:
    """Running mean of the loss, a line every hundred steps."""

    def __init__(self) -> None:
        self.began, self.mean = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        """Time since the run began."""
        return time.monotonic() - self.began

    def note(self, run: Trainer, loss: float, rate: float) -> None:
        """Take in the loss of one step."""
        self.mean = loss if run.steps == 1 else 0.98 * self.mean + 0.02 * loss
        if run.steps % 100 == 0:
            print(f"{self.summary(run)} rate {rate:.3f}", flush=True)

    def summary(self, run: Trainer) -> str:
        """One line: steps, loss, tokens, time."""
        return f"step {run.steps} loss {self.mean:.4f} {run.seen / 1e6:.2f}M tokens {self.seconds / 60:.1f} minutes"


def train(args: argparse.Namespace) -> None:
    """Train for ``args.steps`` (at most ``args.minutes``) and export to ``args.out``."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # the pool of workers is the only parallelism
    run = Trainer(args)
    print("parameters", sum(p.numel() for p in run.model.parameters()), flush=True)
    stage = {1: FIRST, 2: SECOND}[args.stage]
    source, journal = batches(run.tokenizer, stage, args.seed, args.tokens), Journal()
    while (progress := max(run.steps / args.steps, journal.seconds / (60 * args.minutes))) < 1:
        rate = learning_rate(progress, run.steps, args.decay_from)
        journal.note(run, run.step([next(source) for _ in range(args.parts)], rate), rate)
        if args.every and run.steps % args.every == 0:
            export(run.model, run.tokenizer, Path(f"{args.out}-partial"))
    print("final:", journal.summary(run))
    export(run.model, run.tokenizer, Path(args.out))


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="weights")
    parser.add_argument("--stage", type=int, choices=(1, 2), default=2)
    parser.add_argument("--init", type=Path, help="start from these exported weights and their tokenizer")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--minutes", type=float, default=600, help="upper limit of the training time")
    parser.add_argument("--decay-from", type=float, default=0.5, help="share of the run after which the rate falls")
    parser.add_argument("--every", type=int, default=0, help="also export to OUT-partial every so many steps")
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--inner", type=int, default=448)
    parser.add_argument("--heads", type=int, default=5)
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--tokens", type=int, default=2000, help="tokens per part, prompts and padding included")
    parser.add_argument("--parts", type=int, default=2, help="parts per batch")
    parser.add_argument("--muon-rate", type=float, default=0.02)
    parser.add_argument("--adam-rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
