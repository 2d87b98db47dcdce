"""Train the bundled language model from scratch; the same command goes on where a killed run stopped.

    python -m infra.embedded_model.train --run FOLDER

FOLDER holds `checkpoint.pt`, written every three minutes, and in the end `weights`, the model in the Hugging Face Llama
format.  Only the reply part of the dialogues, drawn on the fly from `corpus.py`, is learnt: matrices with Muon,
embeddings and norms with AdamW.  The rate is constant after a short warm-up.  Once the loss on dialogues that training
never draws has stopped falling, or after `--tokens`, it goes linearly to zero, and the run ends.

Equal arguments give equal weights on one kind of machine, whether and wherever the run was broken off.

Needs torch, transformers, tokenizers; `--compile` needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from .batches import Batches, Part, fixed_parts
from .checkpoint import load, save
from .muon import Muon
from .network import Model, export
from .schedule import Schedule
from .vocabulary import train_tokenizer

CHECKPOINT_S = 180
LINE_EVERY = 50  # steps
#: Dialogues of the loss that ends the run.
MEASURED = 1200


def accumulate(
    model: Callable[..., Tensor], parameters: list[nn.Parameter], parts: list[Part], pool: ThreadPoolExecutor
) -> tuple[float, int]:
    """Add up the gradient of the mean loss over `parts`, which idle threads pick up; loss and tokens.

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


class Trainer:
    """Model, optimisers, data and schedule of one run."""

    def __init__(self, args: argparse.Namespace, kept: dict[str, Any] | None) -> None:
        self.args = args
        self.tokenizer = Tokenizer.from_str(kept["tokenizer"]) if kept else train_tokenizer(args.vocab)
        self.model = Model(self.tokenizer.get_vocab_size(), args.width, args.layers, args.inner, args.heads)
        self.loss = torch.compile(self.model, dynamic=True) if args.compile else self.model
        self.muon = Muon(self.model.layers)
        matrices = {id(p) for p in self.muon.parameters}
        others = [p for p in self.model.parameters() if id(p) not in matrices]
        self.adam = torch.optim.AdamW(others, lr=args.adam_rate, betas=(0.9, 0.98), weight_decay=0.0)
        self.pool = ThreadPoolExecutor(args.threads)
        self.schedule = Schedule(args.tokens, args.measure_every)
        self.steps, self.mean, self.seconds = 0, 0.0, 0.0
        if kept:
            self.restore(kept)
        self.batches = Batches(self.tokenizer, args.seed, args.part, kept["taken"] if kept else (0, 0))
        self.measured = fixed_parts(self.tokenizer, f"{args.seed}/measured", MEASURED, args.part)

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on."""
        return {
            "tokenizer": self.tokenizer.to_str(),
            "model": self.model.state_dict(),
            "muon": self.muon.state(),
            "adam": self.adam.state_dict(),
            "schedule": self.schedule.state(),
            "taken": self.batches.taken,
            "steps": self.steps,
            "mean": self.mean,
            "seconds": self.seconds,
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """Take over a state; the data follow in `Batches`."""
        self.model.load_state_dict(kept["model"])
        self.muon.restore(kept["muon"])
        self.adam.load_state_dict(kept["adam"])
        self.schedule.restore(kept["schedule"])
        self.steps, self.mean, self.seconds = kept["steps"], kept["mean"], kept["seconds"]

    def step(self) -> None:
        """One update, and a measurement where one is due."""
        began, rate = time.monotonic(), self.schedule.rate(self.steps)
        loss, tokens = accumulate(
            self.loss, list(self.model.parameters()), self.batches.take(self.args.parts), self.pool
        )
        self.muon.step(self.args.muon_rate * rate, self.pool)
        for group in self.adam.param_groups:
            group["lr"] = self.args.adam_rate * rate
        self.adam.step()
        self.adam.zero_grad()
        self.steps += 1
        self.mean = loss if self.steps == 1 else 0.98 * self.mean + 0.02 * loss
        if self.schedule.advance(tokens):
            self.schedule.note(self.measure())
            print(self.line(), flush=True)
        self.seconds += time.monotonic() - began

    def measure(self) -> float:
        """Loss on dialogues that training never draws, nats per reply token."""
        with torch.no_grad():
            sums = [self.model(p.ids, p.where, p.target).item() * len(p.target) for p in self.measured]
        return float(sum(sums)) / sum(len(part.target) for part in self.measured)

    def line(self) -> str:
        """Progress: steps, losses, tokens, speed, hours of work so far, what comes next."""
        seen = self.schedule.seen
        return (
            f"step {self.steps} loss {self.mean:.4f} measured {self.schedule.last:.4f} {seen / 1e6:.2f}M tokens "
            f"{seen / max(self.seconds, 1e-9):.0f}/s {self.seconds / 3600:.2f} h, {self.schedule.outlook()}"
        )


def train(args: argparse.Namespace) -> None:
    """Go on from the checkpoint of `args.run`, or begin, and export the weights in the end."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # the pool of workers is the only parallelism
    path = args.run / "checkpoint.pt"
    run = Trainer(args, load(path, vars(args)))
    print("parameters", sum(p.numel() for p in run.model.parameters()), run.line(), flush=True)
    saved = time.monotonic()
    while not run.schedule.over and not (args.stop_at and run.steps >= args.stop_at):
        run.step()
        if run.steps % LINE_EVERY == 0:
            print(run.line(), flush=True)
        if time.monotonic() - saved > CHECKPOINT_S:
            save(path, run.state(), vars(args))
            saved = time.monotonic()
    save(path, run.state(), vars(args))
    export(run.model, run.tokenizer, args.run / "weights")
    print("final:", run.line())


def parser() -> argparse.ArgumentParser:
    """The command line; the defaults are the run of the model card."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--run", type=Path, required=True, help="folder of the checkpoint and the weights")
    made.add_argument("--tokens", type=float, default=20e6, help="at most so many before the rate falls")
    made.add_argument("--measure-every", type=float, default=1.5e6, help="tokens between two measurements")
    made.add_argument("--stop-at", type=int, default=0, help="break off after so many steps in all, and export")
    made.add_argument("--width", type=int, default=192)
    made.add_argument("--layers", type=int, default=6)
    made.add_argument("--inner", type=int, default=512)
    made.add_argument("--heads", type=int, default=6)
    made.add_argument("--vocab", type=int, default=4096)
    made.add_argument("--part", type=int, default=2500, help="tokens per part, prompts and padding included")
    made.add_argument("--parts", type=int, default=2, help="parts per batch")
    made.add_argument("--muon-rate", type=float, default=0.02)
    made.add_argument("--adam-rate", type=float, default=3e-3)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, default=False, help="no faster where measured"
    )
    return made


if __name__ == "__main__":
    train(parser().parse_args())
