"""Measure the bundled model: what it has to reach, auctions, samples, speed, agreement with transformers.

    python -m infra.embedded_model.evaluate aims        # the demo's queries; --json FILE writes the figures
    python -m infra.embedded_model.evaluate auctions    # the paper's orderings
    python -m infra.embedded_model.evaluate samples     # some replies
    python -m infra.embedded_model.evaluate speed
    python -m infra.embedded_model.evaluate agree       # also needs torch and transformers

Requirements: ctranslate2, tokenizers, numpy.  The same command gives the same
numbers on the same machine, whatever ``--threads``: every block of work starts
a sampler of its own with a fixed seed.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from pathlib import Path

import ctranslate2
import numpy as np

from .aims import evaluate_aims, print_aims, write_json
from .auction_tables import auctions
from .auctions import instances
from .sampler import MAX_TOKENS, Files, Sampler
from .turns import advertiser_prompt, context_prompt

SHIPPED = Path(__file__).parents[2] / "workers" / "engines" / "embedded" / "model"


def samples(sampler: Sampler, seed: int) -> None:
    """Replies of each kind to the first questions of the evaluation, unpicked."""
    for query, ads in instances(8, seed)[::2]:
        named = "; ".join(f"{ad.name}, {ad.description}" for ad in ads)
        print(f"{query} [{named}]")
        turns = {
            "reference": query,
            "advertiser": advertiser_prompt(ads[0], query),
            "context-aware": context_prompt(ads, query),
        }
        for label, turn in turns.items():
            print(f"  {label}: {sampler.answers(turn, 1)[0]}")


def one_by_one(files: Files, prompt: list[str], count: int) -> list[list[str]]:
    """Replies that depend on their own seeds only: a fresh generator for each."""
    return [Sampler(files, seed).replies(prompt, 1)[0] for seed in range(count)]


def speed(files: Files, seed: int, threads: int) -> None:
    """Time of one auction's work (20 replies, scored under 3 prompts); agreement of sampling and scoring."""
    sampler = Sampler(files, seed, threads)
    query, ads = instances(1, seed)[0]
    con = sampler.prompt(context_prompt(ads, query))
    prompts = [sampler.prompt(turn) for turn in (query, *(advertiser_prompt(ad, query) for ad in ads))]
    for _ in range(3):
        began = time.perf_counter()
        results = sampler.sample(con, 20)
        drawn = time.perf_counter()
        alone = one_by_one(files, con, 20)
        drawn_alone = time.perf_counter()
        for prompt in prompts:
            sampler.score(prompt, alone)
        scored = time.perf_counter()
        print(
            f"20 replies in one batch {drawn - began:.3f} s, one by one {drawn_alone - drawn:.3f} s, "
            f"3 x 20 scored in {scored - drawn_alone:.3f} s, mean length {np.mean([len(r) for r in alone]):.1f} tokens"
        )
    print(f"largest difference of sampling score and scoring: {score_gap(sampler, con, results):.2e} nats per reply")


def score_gap(sampler: Sampler, prompt: list[str], results: list[ctranslate2.GenerationResult]) -> float:
    """Between the sum that sampling reports (mean per token, end token counted) and that of scoring, in nats."""
    finished = [result for result in results if len(result.sequences[0]) < MAX_TOKENS]
    lengths = np.array([len(result.sequences[0]) + 1 for result in finished])
    sums = np.array([result.scores[0] for result in finished]) * lengths
    return float(abs(sums - sampler.score(prompt, [result.sequences[0] for result in finished])).max())


def agree(sampler: Sampler, weights: Path, seed: int) -> None:
    """Compare sequence log-probabilities with transformers in float32."""
    torch, transformers = import_module("torch"), import_module("transformers")
    llama = transformers.AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32).eval()
    chat = transformers.AutoTokenizer.from_pretrained(weights)
    worst = 0.0
    for query, ads in instances(20, seed):
        turn = context_prompt(ads, query)
        prompt, messages = sampler.prompt(turn), [{"role": "user", "content": turn}]
        ids = chat.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        if chat.convert_ids_to_tokens(ids) != prompt:
            raise SystemExit("the chat template and the plain prompt differ")
        replies = sampler.replies(prompt, 4)
        for reply, score in zip(replies, sampler.score(prompt, replies), strict=True):
            end = ["</s>"] if len(reply) < MAX_TOKENS else []
            row = torch.tensor([ids + chat.convert_tokens_to_ids(reply + end)])
            with torch.no_grad():
                logs = llama(row).logits[0].log_softmax(-1)
            total = logs[len(ids) - 1 : -1].gather(1, row[0, len(ids) :, None]).sum().item()
            worst = max(worst, abs(total - score))
    print(f"largest difference over 80 replies: {worst:.2e} nats per sequence")


def aims(files: Files, seed: int, json: Path | None) -> None:
    """Judge 50 x 20 replies of each kind; print the table, write the figures to `json`."""
    report = evaluate_aims(files, seed)
    print_aims(report)
    if json:
        write_json(report, json)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("what", choices=("aims", "auctions", "samples", "speed", "agree"))
    made.add_argument("--model", type=Path, default=SHIPPED, help="folder with hf and ct2")
    made.add_argument("--auctions", type=int, default=320)
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--json", type=Path, help="aims: also write the figures to this file")
    return made


def main() -> None:
    """Read the command line and measure."""
    args = parser().parse_args()
    files = Files(args.model / "ct2", args.model / "hf" / "tokenizer.json")
    measures = {
        "aims": lambda: aims(files, args.seed, args.json),
        "auctions": lambda: auctions(files, args.auctions, args.seed, args.threads),
        "samples": lambda: samples(Sampler(files, args.seed), args.seed),
        "speed": lambda: speed(files, args.seed, args.threads),
        "agree": lambda: agree(Sampler(files, args.seed), args.model / "hf", args.seed),
    }
    measures[args.what]()


if __name__ == "__main__":
    main()
