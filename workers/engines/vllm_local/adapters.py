"""LoRA adapters: what their files hold, what is refused, and the proof at start that no reply gets another's score."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workers.engines.all_of import all_of
from workers.engines.base import Prompt, Reply
from workers.engines.vllm_local.engine import VllmScorer
from workers.engines.vllm_local.tensors import Tensor, read_header
from workers.errors import EngineGone, EngineRejected, NotANumber, SettingsError

FILE, CONFIG = "adapter_model.safetensors", "adapter_config.json"
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM makes room for
HEADS = {"lm_head", "embed_out", "embed_tokens", "wte", "wpe", "word_embeddings"}
_TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<half>[AB])\.weight")
TURN, ANSWER = "How do I bake cookies?", "Mix flour, butter and sugar, then bake."
TOLERANCE_NATS = {"torch.float32": 1e-3}  # per token
TOLERANCE_16_BIT_NATS = 0.02
NOTHING_NATS = 1e-6  # by which a reply's score changes, at most, where an adapter was ignored


Size = tuple[int, ...] | None  # [outputs, inputs] of a module; None where it is no plain matrix, and not compared


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


def read_adapters(folders: Mapping[str, str], model: Path) -> list[Adapter]:
    """Each one's modules and rank.

    SettingsError: a file is missing, it changes what vLLM would not score, it belongs to a model of other sizes, or
    nobody can tell, because the model's are not in safetensors files.
    """
    sizes = _sizes(model) if folders else {}
    return [_read(name, Path(folder).expanduser(), sizes) for name, folder in folders.items()]


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
    """Score one reply with the model and each adapter, alone and all in one batch.

    SettingsError: an adapter changes nothing, or what it computes is no number. EngineGone: the batch changes the
    scores, or the model itself computes none.
    """
    scorers = [base, *adapted.values()]
    prompt, ids = base.encode(TURN), base.encode(ANSWER)
    replies = [Reply(ids, "", 0.0, False)]
    alone = [float((await base.log_probs(prompt, replies))[0])]
    alone += [await _scored(name, scorer, prompt, replies) for name, scorer in adapted.items()]
    for name, score in zip(adapted, alone[1:], strict=True):
        if abs(score - alone[0]) <= NOTHING_NATS:
            raise _refused(
                name,
                "changes nothing: a reply scores as without it. It was never trained, or vLLM ignores its modules, "
                "because they are named as in another model: export it for this one",
            )
    together = await all_of(scorer.log_probs(prompt, replies) for scorer in scorers * 2)
    gaps = np.abs(np.concatenate(together) - np.tile(alone, 2))
    if gaps.max() > TOLERANCE_NATS.get(dtype, TOLERANCE_16_BIT_NATS) * len(ids):
        raise EngineGone(
            f"vLLM mixes up LoRA adapters: scored in one batch, a reply's log-probability is off by {gaps.max():.3g} "
            "nats. No score can be trusted; serve the adapters from separate engines"
        )


async def _scored(name: str, scorer: VllmScorer, prompt: Prompt, replies: Sequence[Reply]) -> float:
    """The one reply's nats under an adapter. The model without it has just scored the same."""
    try:
        return float((await scorer.log_probs(prompt, replies))[0])
    except (NotANumber, EngineRejected) as error:
        raise _refused(name, f"cannot score a plain reply, and the model without it can: {error}") from error


def _read(name: str, folder: Path, sizes: Mapping[str, Size]) -> Adapter:
    for file in (CONFIG, FILE):
        if not (folder / file).is_file():
            raise _refused(
                name, f"has no {folder / file}; an adapter's folder has {CONFIG} and {FILE}, as PEFT saves them"
            )
    if not sizes:
        raise _refused(
            name,
            "cannot be compared with the model, which has no *.safetensors: vLLM would score with what fits and ignore "
            "the rest. Save the model with Transformers' save_pretrained, or take away the adapters",
        )
    try:
        tensors = read_header(folder / FILE)
    except (OSError, ValueError) as error:
        raise _refused(name, f"has a {folder / FILE} that cannot be read: {error}") from None
    found = {tensor: _TENSOR.fullmatch(tensor) for tensor in tensors}
    modules = {tensor: match["module"].rpartition(".")[2] if match else "" for tensor, match in found.items()}
    if wrong := sorted(tensor for tensor, module in modules.items() if not module or module in HEADS):
        raise _refused(
            name,
            f"changes {wrong[0]}; vLLM scores replies without that. Train it on attention and feed-forward layers "
            "only, without modules_to_save",
        )
    whole_names = [(tensor, match["half"], match["module"]) for tensor, match in found.items() if match]
    for tensor, half, module in whole_names:
        if module not in sizes or not _fits(tensors[tensor].shape, half, sizes[module]):
            raise _refused(name, f"belongs to another model: {tensor} is {tensors[tensor].shape}, which does not fit")
    rank = max((one.shape[0] for tensor, one in tensors.items() if ".lora_A." in tensor), default=0)
    if not 0 < rank <= RANKS[-1]:
        raise _refused(name, f"has rank {rank}; 1 to {RANKS[-1]} can be")
    return Adapter(name, folder, frozenset(modules.values()), rank)


def _fits(shape: tuple[int, ...], half: str, weight: Size) -> bool:
    """A is [rank, inputs], B [outputs, rank], for a weight [outputs, inputs]."""
    if len(shape) != 2:
        return False
    return weight is None or (shape[1] == weight[1] if half == "A" else shape[0] == weight[0])


def _sizes(model: Path) -> dict[str, Size]:
    """Of the model's modules. vLLM is silent when an adapter's matrices are smaller, and when a module is not there."""
    sizes: dict[str, Size] = {}
    for name, tensor in _tensors(model):
        module, _, part = name.rpartition(".")
        whole = part == "weight" and tensor.is_plain and len(tensor.shape) == 2
        sizes[module] = tensor.shape if whole else sizes.get(module)
    return sizes


def _tensors(model: Path) -> Iterator[tuple[str, Tensor]]:
    for path in model.glob("*.safetensors"):
        try:
            yield from read_header(path).items()
        except (OSError, ValueError) as error:
            raise SettingsError(f"TESSERA_ENGINE: the model's {path} cannot be read: {error}") from None


def _refused(name: str, why: str) -> SettingsError:
    return SettingsError(f"TESSERA_VLLM_ADAPTERS: the adapter {name!r} {why}")
