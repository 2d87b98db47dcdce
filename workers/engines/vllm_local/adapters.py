"""LoRA adapters: what their files hold, and what is refused before vLLM sees it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.engines.safetensors_file import Tensor, read_header
from workers.errors import SettingsError

FILE, CONFIG = "adapter_model.safetensors", "adapter_config.json"
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM makes room for
HEADS = {"lm_head", "embed_out", "embed_tokens", "wte", "wpe", "word_embeddings"}
_TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<half>[AB])\.weight")

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
        """The file of its weights."""
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


def _read(name: str, folder: Path, sizes: Mapping[str, Size]) -> Adapter:
    tensors = _tensors_of(name, folder)
    if not sizes:
        raise refused(
            name,
            "cannot be compared with the model, which has no *.safetensors: vLLM would score with what fits and ignore "
            "the rest. Save the model with Transformers' save_pretrained, or take away the adapters",
        )
    modules = {_fitting(name, tensor, one, sizes) for tensor, one in tensors.items()}
    rank = max((one.shape[0] for tensor, one in tensors.items() if ".lora_A." in tensor), default=0)
    if not 0 < rank <= RANKS[-1]:
        raise refused(name, f"has rank {rank}; 1 to {RANKS[-1]} can be")
    return Adapter(name, folder, frozenset(modules), rank)


def _tensors_of(name: str, folder: Path) -> dict[str, Tensor]:
    for file in (CONFIG, FILE):
        if not (folder / file).is_file():
            raise refused(
                name, f"has no {folder / file}; an adapter's folder has {CONFIG} and {FILE}, as PEFT saves them"
            )
    try:
        return read_header(folder / FILE)
    except (OSError, ValueError) as error:
        raise refused(name, f"has a {folder / FILE} that cannot be read: {error}") from None


def _fitting(name: str, tensor: str, one: Tensor, sizes: Mapping[str, Size]) -> str:
    """The last part of the name of the module that the tensor changes."""
    match = _TENSOR.fullmatch(tensor)
    last = match["module"].rpartition(".")[2] if match else ""
    if match is None or last in HEADS:
        raise refused(
            name,
            f"changes {tensor}; vLLM scores replies without that. Train it on attention and feed-forward layers only, "
            "without modules_to_save",
        )
    if match["module"] not in sizes or not _fits(one.shape, match["half"], sizes[match["module"]]):
        raise refused(name, f"belongs to another model: {tensor} is {one.shape}, which does not fit")
    return last


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


def refused(name: str, why: str) -> SettingsError:
    """What is said of an adapter that cannot be used."""
    return SettingsError(f"TESSERA_VLLM_ADAPTERS: the adapter {name!r} {why}")
