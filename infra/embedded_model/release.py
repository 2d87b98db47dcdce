"""Turn trained weights into the folder that ships: Hugging Face copy, CTranslate2 copy, recorded replies.

    python -m infra.embedded_model.release --weights weights --temperature 0.7 --out model

The model that ships is decoded at ``--temperature``: its final norm is divided by it, as `tessera model temper` does
it, and rounded to float16 like all weights, so that both copies hold the same numbers.
The weights are float16; CTranslate2 keeps them so and computes in float32, which
changes no number.  ``recorded.json`` holds replies of these weights together with
their log-probabilities, so that a test can tell whether the shipped files still
give the same numbers (tolerance 1e-3 nats).

Requirements: torch, transformers, tokenizers, ctranslate2, numpy.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import ctranslate2
import numpy as np
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from workers.engines.model_folder import CONFIG, TEMPERATURE
from workers.engines.tempering import NORM

from .auctions import instances
from .turns import advertiser_prompt, context_prompt
from .vocabulary import END_ID

#: Reply limits, in tokens, of the recorded replies: most finish, some are cut.
LIMITS = (120, 120, 120, 12, 120, 25)
WEIGHTS = "model.safetensors"
HF_FILES = (
    WEIGHTS,
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
PACKAGES = ("ctranslate2", "tokenizers", "transformers", "torch")


@dataclass(frozen=True, slots=True)
class Case:
    """One user turn, its kind and the limit of the reply in tokens."""

    kind: str
    turn: str
    limit: int


def recorded_cases(seed: int) -> list[Case]:
    """Six turns of each of the three kinds, with tasks and names that training never sees."""
    cases = []
    for (query, ads), limit in zip(instances(2 * len(LIMITS), seed)[::2], LIMITS, strict=True):
        cases.append(Case("reference", query, limit))
        cases.append(Case("advertiser", advertiser_prompt(ads[0], query), limit))
        cases.append(Case("context-aware", context_prompt(ads, query), limit))
    return cases


def log_prob(generator: ctranslate2.Generator, prompt_ids: list[int], reply_ids: list[int]) -> float:
    """Sum over the reply of its token log-probabilities, in nats."""
    rows = np.array(generator.forward_batch([prompt_ids + reply_ids], return_log_probs=True))[0]
    start = len(prompt_ids) - 1
    return math.fsum(float(rows[start + place, token]) for place, token in enumerate(reply_ids))


def record(folder: Path, tokenizer: Tokenizer, case: Case, seed: int) -> dict[str, object]:
    """Sample one reply with its own seed and score it."""
    ctranslate2.set_random_seed(seed)
    generator = ctranslate2.Generator(str(folder), device="cpu", compute_type="float32", intra_threads=1)
    prompt = tokenizer.encode(f"<s><user>{case.turn}<assistant>", add_special_tokens=False)
    (result,) = generator.generate_batch(
        [prompt.tokens],
        max_length=case.limit,
        sampling_topk=0,
        sampling_temperature=1.0,
        end_token=[END_ID],
        return_end_token=True,
        include_prompt_in_result=False,
    )
    reply = list(result.sequences_ids[0])
    return {
        "kind": case.kind,
        "prompt": case.turn,
        "prompt_ids": prompt.ids,
        "reply_ids": reply,
        "reply": tokenizer.decode(reply),
        "finished": reply[-1] == END_ID,
        "log_prob": log_prob(generator, prompt.ids, reply),
    }


def sha256_of(folder: Path) -> dict[str, str]:
    """Digest of every shipped file but the record itself, by path below ``folder``."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "recorded.json")
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def temper(folder: Path, temperature: float) -> None:
    """Divide the final norm of the Hugging Face copy in ``folder``; its configuration says by what."""
    tensors = load_file(folder / WEIGHTS)
    tensors[NORM] = (tensors[NORM].float() / temperature).half()
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8")) | {TEMPERATURE: temperature}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def convert(weights: Path, temperature: float, out: Path) -> None:
    """Write ``hf`` and ``ct2`` under the new folder ``out``."""
    from ctranslate2.converters import TransformersConverter

    (out / "hf").mkdir(parents=True)
    for name in HF_FILES:
        shutil.copyfile(weights / name, out / "hf" / name)
    if temperature != 1:
        temper(out / "hf", temperature)
    TransformersConverter(str(out / "hf")).convert(str(out / "ct2"), quantization="float16")


def recorded(folder: Path, seed: int) -> dict[str, object]:
    """The content of ``recorded.json`` for the converted model in ``folder``."""
    tokenizer = Tokenizer.from_file(str(folder / "hf" / "tokenizer.json"))
    cases = recorded_cases(seed)
    return {
        "about": "replies of the shipped weights; log_prob is in nats, from CTranslate2's forward_batch, "
        "summed over the reply in float64",
        "tolerance_nats": 1e-3,
        "compute_type": "float32",
        "versions": {"python": sys.version.split()[0], **{name: version(name) for name in PACKAGES}},
        "model_sha256": sha256_of(folder),
        "records": [record(folder / "ct2", tokenizer, case, seed + index) for index, case in enumerate(cases)],
    }


def release(weights: Path, temperature: float, out: Path, seed: int) -> None:
    """Write ``hf``, ``ct2`` and ``recorded.json`` under ``out``, replacing what is there."""
    fresh = out.with_name(out.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    convert(weights, temperature, fresh)
    text = json.dumps(recorded(fresh, seed), indent=1, ensure_ascii=False)
    (fresh / "recorded.json").write_text(text + "\n", encoding="utf-8")
    swap(fresh, out)


def swap(fresh: Path, out: Path) -> None:
    """Put ``fresh`` in the place of ``out``."""
    old = out.with_name(out.name + ".old")
    if out.exists():
        out.rename(old)
    fresh.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    """Read the command line and write the release."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("model"))
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    release(args.weights, args.temperature, args.out, args.seed)


if __name__ == "__main__":
    main()
