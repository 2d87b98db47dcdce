"""A GGUF file of a Llama becomes a folder as Transformers saves it: weights in float32, tokenizer, chat template.

The file is read by the `gguf` package of llama.cpp's authors. Quantised weights are what their formula says, in
float32: no number is rounded a second time.
"""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from workers.engines.safetensors_file import LazyTensor, write_tensors
from workers.errors import MissingProgram, SettingsError

MAGIC = b"GGUF"
CONTROL = 3  # the type of a token that is a command and no text
DAMAGED = (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError)  # what the reader stumbles with
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TENSOR = re.compile(r"(?:blk\.(?P<layer>\d+)\.)?(?P<name>[a-z_]+)\.weight")


def unpack(source: Path, out: Path) -> None:
    """Write what is in the GGUF file `source` to the folder `out`, which is there and empty.

    SettingsError: it is no whole GGUF file, of another family, quantised in a way that is not known, without a chat
    template, or with a tokenizer that is not known. MissingProgram: the package is not installed.
    """
    file = _File(source)
    config = _config(file)
    tensors = dict(_tensors(file, config))
    tokenizer, special = _tokenizer(file), _special(file)
    template = file.text("tokenizer.chat_template")
    if template is None:
        raise SettingsError(f"{source} has no chat template: a base model? One made for chats has it in the file")
    if "lm_head.weight" not in tensors:
        config["tie_word_embeddings"] = True
    write_tensors(out / "model.safetensors", tensors)
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "chat_template.jinja").write_text(template, encoding="utf-8")
    for name, content in (("config.json", config), ("tokenizer_config.json", special)):
        (out / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _require_magic(path: Path) -> None:
    """SettingsError: no GGUF file begins as this one, so that nothing has to be installed to read it."""
    with path.open("rb") as file:
        first = file.read(len(MAGIC))
    if first != MAGIC:
        found = f"begins with {first!r}, and not with {MAGIC!r}" if first else "is empty"
        raise SettingsError(f"{path} is not a whole GGUF file: it {found}")


class _File:
    """What the package reads, with its many errors as one."""

    def __init__(self, path: Path) -> None:
        _require_magic(path)
        try:
            from gguf import GGUFReader
            from gguf.quants import dequantize
        except ImportError:
            raise MissingProgram(
                "GGUF files are read by the package gguf: pip install 'tessera-auction[gguf]'"
            ) from None
        self.path, self._dequantize = path, dequantize
        try:
            self._reader = GGUFReader(path)
        except DAMAGED as error:
            raise SettingsError(f"{path} is not a whole GGUF file that can be read: {error}") from None

    @property
    def tensors(self) -> list[Any]:
        return list(self._reader.tensors)

    def value(self, key: str) -> Any:
        """None where the file does not say."""
        field = self._reader.fields.get(key)
        try:
            return field.contents() if field else None
        except DAMAGED as error:
            raise SettingsError(f"{self.path} is damaged at {key}: {error}") from None

    def text(self, key: str) -> str | None:
        value = self.value(key)
        return None if value is None else str(value)

    def number(self, key: str) -> float:
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SettingsError(f"{self.path} does not say {key}, or not as a number")
        return value

    def weights(self, tensor: Any) -> NDArray[np.float32]:
        shape = tuple(int(size) for size in tensor.shape[::-1])
        return np.asarray(self._dequantize(tensor.data, tensor.tensor_type), np.float32).reshape(shape)

    def check_quantisation(self, tensor: Any) -> None:
        """On one row, which costs nothing."""
        try:
            self._dequantize(tensor.data[:1], tensor.tensor_type)
        except NotImplementedError:
            raise SettingsError(
                f"{self.path} has weights quantised as {tensor.tensor_type.name}, which the gguf package cannot undo; "
                "take a file in Q8_0, Q4_1, F16 or another that it can"
            ) from None


def _config(file: _File) -> dict[str, Any]:
    family = file.text("general.architecture")
    if family != "llama":
        raise SettingsError(f"{file.path} is of the family {family}; GGUF files of llama are imported")
    if file.value("llama.rope.scaling.type") not in (None, "none") or file.value("llama.expert_count"):
        raise SettingsError(f"{file.path} has scaled rotary positions or experts, which are not imported")
    heads = int(file.number("llama.attention.head_count"))
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "hidden_act": "silu",
        "hidden_size": int(file.number("llama.embedding_length")),
        "intermediate_size": int(file.number("llama.feed_forward_length")),
        "max_position_embeddings": int(file.number("llama.context_length")),
        "num_attention_heads": heads,
        "num_hidden_layers": int(file.number("llama.block_count")),
        "num_key_value_heads": int(file.value("llama.attention.head_count_kv") or heads),
        "rms_norm_eps": float(f"{file.number('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_parameters": {"rope_type": "default", "rope_theta": file.value("llama.rope.freq_base") or 10_000.0},
        "tie_word_embeddings": False,
        "vocab_size": len(file.value("tokenizer.ggml.tokens") or ()),
        "bos_token_id": int(file.number("tokenizer.ggml.bos_token_id")),
        "eos_token_id": int(file.number("tokenizer.ggml.eos_token_id")),
    }


def _tensors(file: _File, config: dict[str, Any]) -> Iterator[tuple[str, LazyTensor]]:
    """By their names in Transformers."""
    rotated = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for tensor in file.tensors:
        match = _TENSOR.fullmatch(tensor.name)
        if match is None or match["name"] not in NAMES:
            raise SettingsError(f"{file.path} has {tensor.name}, which no plain Llama has")
        file.check_quantisation(tensor)
        layer = f"model.layers.{match['layer']}." if match["layer"] else ""
        shape = tuple(int(size) for size in tensor.shape[::-1])
        made = partial(_ordered, file, tensor, rotated.get(match["name"], 0))
        yield f"{layer}{NAMES[match['name']]}.weight", LazyTensor(shape, made)


def _ordered(file: _File, tensor: Any, heads: int) -> NDArray[np.float32]:
    """GGUF stores the two halves that a rotary position turns interleaved; Transformers one behind the other."""
    weight = file.weights(tensor)
    if not heads:
        return weight
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


#: How each kind of tokenizer cuts a text before it merges.
CUTS = {
    "smollm": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
}


def _tokenizer(file: _File) -> Tokenizer:
    kind, cut = file.text("tokenizer.ggml.model"), file.text("tokenizer.ggml.pre")
    if kind != "gpt2" or cut not in CUTS:
        raise SettingsError(
            f"{file.path} has a tokenizer of the kind {kind}, {cut}; known are gpt2 with {', '.join(CUTS)}. Import the "
            "model's own folder instead: it has tokenizer.json"
        )
    tokens = file.value("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ", 1)) for merge in file.value("tokenizer.ggml.merges") or ()]
    try:
        tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    except Exception as error:  # the library raises nothing narrower
        raise SettingsError(f"{file.path} has a tokenizer whose parts do not fit: {error}") from error
    tokenizer.pre_tokenizer = CUTS[cut]()
    tokenizer.decoder = decoders.ByteLevel()
    kinds = file.value("tokenizer.ggml.token_type")
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer


def _special(file: _File) -> dict[str, str]:
    tokens = file.value("tokenizer.ggml.tokens")
    named = {"bos_token": "bos_token_id", "eos_token": "eos_token_id"}
    return {name: tokens[int(file.number(f"tokenizer.ggml.{key}"))] for name, key in named.items()}
