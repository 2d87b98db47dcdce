"""Random LoRA adapters of the bundled model, written as PEFT writes them, and the same weights merged into a model.

Torch and its kin are imported where they are used: the tests are collected, and left out, where they are missing too.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines.bundled import FOLDER

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

RANK, ALPHA = 8, 16
SPREAD = 0.2  # of the weights
WIDTH, VOCABULARY, LAYERS = 192, 4_096, 6
PREFIX = "base_model.model."
ATTENTION = tuple(f"model.layers.{layer}.self_attn.{name}" for layer in range(LAYERS) for name in ("q_proj", "v_proj"))
SHAPES = {"lm_head": (VOCABULARY, WIDTH), "embed_tokens": (VOCABULARY, WIDTH)}


def write_adapter(folder: Path, seed: int, modules: tuple[str, ...] = ATTENTION, width: int = WIDTH) -> Path:
    """An adapter of `modules`, for a model of this width."""
    import torch
    from safetensors.torch import save_file

    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for module in modules:
        rows, columns = SHAPES.get(module.rpartition(".")[2], (width, width))
        tensors[f"{PREFIX}{module}.lora_A.weight"] = SPREAD * torch.randn(RANK, columns, generator=random)
        tensors[f"{PREFIX}{module}.lora_B.weight"] = SPREAD * torch.randn(rows, RANK, generator=random)
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    write_config(folder, sorted({module.rpartition(".")[2] for module in modules}))
    return folder


def write_config(folder: Path, modules: list[str]) -> None:
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": modules, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def plain_model() -> "LlamaForCausalLM":
    """The bundled model in Transformers, float32."""
    import torch
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()


def merged_model(adapter: Path) -> "LlamaForCausalLM":
    """The bundled model with the adapter's product added to its weights."""
    import torch
    from safetensors.torch import load_file

    model, tensors = plain_model(), load_file(adapter / "adapter_model.safetensors")
    with torch.no_grad():
        for name in [name for name in tensors if ".lora_A." in name]:
            module = model.get_submodule(name.removeprefix(PREFIX).partition(".lora_A.")[0])
            module.weight += ALPHA / RANK * tensors[name.replace("lora_A", "lora_B")] @ tensors[name]
    return model


def log_probability(model: "LlamaForCausalLM", prompt: tuple[int, ...], reply: tuple[int, ...]) -> float:
    """Of the reply behind the prompt, nats: one forward pass, summed in float64."""
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *reply]])).logits[0, len(prompt) - 1 : -1]
    rows = torch.log_softmax(logits.double(), dim=-1)
    return float(rows[torch.arange(len(reply)), list(reply)].sum())


def folders(adapters: Mapping[str, Path]) -> dict[str, str]:
    return {name: str(folder) for name, folder in adapters.items()}
