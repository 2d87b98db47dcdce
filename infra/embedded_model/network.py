"""The network, a small Llama (RMSNorm, rotary positions, SwiGLU, tied embeddings), and its export.

Axes: B rows, T positions, D width, H heads, V vocabulary, R reply tokens of a batch.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from .vocabulary import BEGIN_ID, END_ID, MAX_POSITIONS, PAD_ID, wrap_tokenizer

ROPE_BASE, NORM_EPS = 10000.0, 1e-6


class Norm(nn.Module):
    """RMS normalisation over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        return F.rms_norm(x, (x.shape[-1],), self.weight, NORM_EPS)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of [B, H, T, D/H] (Llama's half-split layout)."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Block(nn.Module):
    """One Llama layer; projections of one kind are fused for speed."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.qkv = nn.Parameter(torch.randn(3, width, width) * width**-0.5)
        self.out = nn.Parameter(torch.zeros(width, width))
        self.up = nn.Parameter(torch.randn(2, inner, width) * width**-0.5)
        self.down = nn.Parameter(torch.zeros(width, inner))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        x = x + F.linear(self._attend(self.norm1(x), cos, sin), self.out)
        gate, up = F.linear(self.norm2(x), self.up.flatten(0, 1)).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down)

    def _attend(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = x.shape
        fused = F.linear(x, self.qkv.flatten(0, 1)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = fused.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        return mixed.transpose(1, 2).reshape(batch, length, width)


class Model(nn.Module):
    """The language model; ``forward`` returns the mean loss over the reply tokens."""

    cos: Tensor
    sin: Tensor
    layers: list[Block]

    def __init__(self, vocab: int, width: int, layers: int, inner: int, heads: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.layers = [Block(width, inner, heads) for _ in range(layers)]
        self.blocks = nn.ModuleList(self.layers)
        self.norm = Norm(width)
        size = width // heads
        angle = torch.outer(torch.arange(MAX_POSITIONS).float(), ROPE_BASE ** (-torch.arange(0, size, 2) / size))
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, ids: Tensor, where: Tensor, target: Tensor) -> Tensor:
        """ids [B, T], flat positions ``where`` [R] in B x T, their next tokens ``target`` [R] -> nats per token."""
        x, cos, sin = self.embed(ids), self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for block in self.layers:
            x = block(x, cos, sin)
        x = self.norm(x).flatten(0, 1)[where]
        return F.cross_entropy((x @ self.embed.weight.T).float(), target)


def llama_places(model: Model) -> dict[str, Tensor]:
    """The weights, or views of them, under the names of ``LlamaForCausalLM``."""
    state: dict[str, Tensor] = {"model.embed_tokens.weight": model.embed.weight, "model.norm.weight": model.norm.weight}
    for index, layer in enumerate(model.layers):
        named = {
            "self_attn.q_proj": layer.qkv[0],
            "self_attn.k_proj": layer.qkv[1],
            "self_attn.v_proj": layer.qkv[2],
            "self_attn.o_proj": layer.out,
            "mlp.gate_proj": layer.up[0],
            "mlp.up_proj": layer.up[1],
            "mlp.down_proj": layer.down,
            "input_layernorm": layer.norm1.weight,
            "post_attention_layernorm": layer.norm2.weight,
        }
        state |= {f"model.layers.{index}.{name}.weight": value for name, value in named.items()}
    return state


def load_llama(model: Model, folder: Path) -> None:
    """Put exported weights into ``model``, the inverse of ``export`` but for the rounding to float16."""
    state = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
    with torch.no_grad():
        for name, place in llama_places(model).items():
            place.copy_(state[name])


def export(model: Model, tokenizer: Tokenizer, out: Path) -> None:
    """Write model (float16) and tokenizer to the folder ``out`` in the Hugging Face Llama format."""
    transformers: Any = import_module("transformers")
    block = model.layers[0]
    width, inner = block.down.shape
    config = transformers.LlamaConfig(
        vocab_size=model.embed.num_embeddings,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=len(model.layers),
        num_attention_heads=block.heads,
        num_key_value_heads=block.heads,
        max_position_embeddings=MAX_POSITIONS,
        rms_norm_eps=NORM_EPS,
        rope_theta=ROPE_BASE,
        tie_word_embeddings=True,
        bos_token_id=BEGIN_ID,
        eos_token_id=END_ID,
        pad_token_id=PAD_ID,
    )
    llama = transformers.LlamaForCausalLM(config)
    state = {name: value.detach() for name, value in llama_places(model).items()}
    llama.load_state_dict(state | {"lm_head.weight": model.embed.weight.detach()})
    llama.generation_config.update(do_sample=True, temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=120)
    llama.to(torch.float16).save_pretrained(out)
    wrap_tokenizer(tokenizer).save_pretrained(out)
