"""LoRA adapters: what their files hold, what is refused, and the proof at start that no reply gets another's score."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workers.engines.all_of import all_of
from workers.engines.base import Reply
from workers.engines.vllm_local.engine import VllmScorer
from workers.errors import EngineGone, SettingsError

FILE, CONFIG = "adapter_model.safetensors", "adapter_config.json"
MAX_HEADER_BYTES = 100_000_000
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM makes room for
HEADS = {"lm_head", "embed_out", "embed_tokens", "wte", "wpe", "word_embeddings"}
TURN, ANSWER = "How do I bake cookies?", "Mix flour, butter and sugar, then bake."
TOLERANCE_NATS = {"torch.float32": 1e-3}  # per token
TOLERANCE_16_BIT_NATS = 0.02


@dataclass(frozen=True, slots=True)
class Adapter:
    """LoRA weights on the disk."""

    name: str
    folder: Path
    modules: frozenset[str]  # last parts of the names of those it changes
    rank: int

    @property
    def weights(self) -> Path:
        return self.folder / FILE


def read_adapters(folders: Mapping[str, str]) -> list[Adapter]:
    """Each one's modules and rank. SettingsError: a file is missing, or it changes what vLLM would not score."""
    return [_read(name, Path(folder).expanduser()) for name, folder in folders.items()]


def lora_arguments(adapters: Sequence[Adapter]) -> dict[str, Any]:
    """vLLM's arguments for them.

    One slot more than there are adapters, or replies without an adapter get one's score on a CPU, silently. Only the
    modules that are changed, or log-probabilities of a prompt fail where the head is among them.
    """
    if not adapters:
        return {}
    largest = max(adapter.rank for adapter in adapters)
    return {
        "enable_lora": True,
        "max_loras": len(adapters) + 1,
        "max_lora_rank": next(rank for rank in RANKS if rank >= largest),
        "lora_target_modules": sorted(frozenset().union(*(adapter.modules for adapter in adapters))),
    }


async def check_separation(base: VllmScorer, adapted: Mapping[str, VllmScorer], dtype: str) -> None:
    """Score one reply with the model and each adapter, alone and all in one batch. EngineGone: the scores differ."""
    scorers = [base, *adapted.values()]
    prompt, ids = base.encode(TURN), base.encode(ANSWER)
    replies = [Reply(ids, "", 0.0, False)]
    alone = [float((await scorer.log_probs(prompt, replies))[0]) for scorer in scorers]
    together = await all_of(scorer.log_probs(prompt, replies) for scorer in scorers * 2)
    gaps = np.abs(np.concatenate(together) - np.tile(alone, 2))
    if gaps.max() > TOLERANCE_NATS.get(dtype, TOLERANCE_16_BIT_NATS) * len(ids):
        raise EngineGone(
            f"vLLM mixes up LoRA adapters: scored in one batch, a reply's log-probability is off by {gaps.max():.3g} "
            "nats. No score can be trusted; serve the adapters from separate engines"
        )


def _read(name: str, folder: Path) -> Adapter:
    for file in (CONFIG, FILE):
        if not (folder / file).is_file():
            raise SettingsError(
                f"TESSERA_VLLM_ADAPTERS: the adapter {name!r} has no {folder / file}; "
                f"an adapter's folder has {CONFIG} and {FILE}, as PEFT saves them"
            )
    shapes = _shapes(folder / FILE)
    modules = {tensor: _module(tensor) for tensor in shapes}
    if wrong := sorted(tensor for tensor, module in modules.items() if not module or module in HEADS):
        raise SettingsError(
            f"TESSERA_VLLM_ADAPTERS: the adapter {name!r} changes {wrong[0]}; vLLM scores replies without that. "
            "Train it on attention and feed-forward layers only, without modules_to_save"
        )
    rank = max((shape[0] for tensor, shape in shapes.items() if ".lora_A." in tensor), default=0)
    if not 0 < rank <= RANKS[-1]:
        raise SettingsError(f"TESSERA_VLLM_ADAPTERS: the adapter {name!r} has rank {rank}; 1 to {RANKS[-1]} can be")
    return Adapter(name, folder, frozenset(modules.values()), rank)


def _module(tensor: str) -> str:
    """`q_proj` of `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`; empty if it is not such a one."""
    path, found, _ = tensor.partition(".lora_A.weight") if ".lora_A." in tensor else tensor.partition(".lora_B.weight")
    return path.rpartition(".")[2] if found else ""


def _shapes(path: Path) -> dict[str, list[int]]:
    """Of each tensor in a safetensors file, whose header is JSON behind its length."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, MAX_HEADER_BYTES)))
        return {name: list(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"TESSERA_VLLM_ADAPTERS: {path} cannot be read: {error}") from None
