"""A GGUF file is the same model as a folder; what is not whole, or another kind of model, is refused in a line."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize
from tokenizers import pre_tokenizers

from tests.engines.llama_by_gguf import Llama
from workers.engines.catalogue import open_engine
from workers.engines.embedded.conversion import import_folder, import_gguf
from workers.engines.options import EngineOptions
from workers.engines.safetensors_file import LazyTensor, write_tensors
from workers.errors import SettingsError

WIDTH, INNER, HEADS, KV_HEADS, LAYERS = 64, 96, 4, 2, 2
TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "he"]
CONTROL, NORMAL = 3, 1
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}{{ '<|im_start|>' }}"


def weights() -> dict[str, np.ndarray]:
    """By their names in GGUF, in the order of Transformers."""
    random = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return random.normal(0, 0.3, (rows, columns)).astype(np.float32)

    made = {"token_embd": matrix(len(TOKENS), WIDTH), "output_norm": np.ones(WIDTH, np.float32)}
    for layer in range(LAYERS):
        at, kv = f"blk.{layer}.", WIDTH // HEADS * KV_HEADS
        made |= {f"{at}{name}": np.ones(WIDTH, np.float32) for name in ("attn_norm", "ffn_norm")}
        made |= {f"{at}{name}": matrix(WIDTH, WIDTH) for name in ("attn_q", "attn_output")}
        made |= {f"{at}{name}": matrix(kv, WIDTH) for name in ("attn_k", "attn_v")}
        made |= {f"{at}{name}": matrix(INNER, WIDTH) for name in ("ffn_gate", "ffn_up")}
        made[f"{at}ffn_down"] = matrix(WIDTH, INNER)
    return made


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """As llama.cpp's converter stores queries and keys."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def as_stored() -> dict[str, np.ndarray]:
    """The weights with queries and keys in the order of the file."""
    turned = {"attn_q": HEADS, "attn_k": KV_HEADS}
    return {
        name: interleaved(weight, heads) if (heads := turned.get(name.rpartition(".")[2])) else weight
        for name, weight in weights().items()
    }


def write_gguf(
    path: Path, family: str = "llama", kind: Any = None, template: str | None = TEMPLATE, merge: str = "h e"
) -> Path:
    """The weights in a file, those of the layers' matrices quantised as `kind` says."""
    writer = gguf.GGUFWriter(path, family)
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(TOKENS)
    writer.add_token_types([CONTROL] * 3 + [NORMAL] * (len(TOKENS) - 3))
    writer.add_token_merges([merge])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    if template is not None:
        writer.add_chat_template(template)
    for name, stored in as_stored().items():
        if kind is not None and stored.ndim == 2 and name != "token_embd":
            writer.add_tensor(f"{name}.weight", quantize(stored, kind), raw_dtype=kind)
        else:
            writer.add_tensor(f"{name}.weight", stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[Path, str], None]:
    """Checks that a file is refused with one line and leaves nothing behind."""

    def check(path: Path, why: str) -> None:
        with pytest.raises(SettingsError, match=why) as error:
            import_gguf(path, tmp_path / "out")
        assert "\n" not in str(error.value)
        assert not list(tmp_path.glob("out*"))

    return check


@pytest.mark.parametrize("kind", [None, gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F16])
async def test_a_gguf_file_is_the_model_of_the_folder_with_its_weights(tmp_path: Path, kind: Any) -> None:
    """The folder is written from the same weights; where they are quantised, from what the quantised ones stand for."""
    import_gguf(write_gguf(tmp_path / "model.gguf", kind=kind), tmp_path / "from-gguf")
    source = tmp_path / "source"
    source.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (source / name).write_bytes((tmp_path / "from-gguf" / name).read_bytes())
    write_tensors(source / "model.safetensors", {name: plain(weight, kind) for name, weight in named()})
    import_folder(source, tmp_path / "from-folder")
    engines = [
        await open_engine(f"embedded:{tmp_path / name}", EngineOptions()) for name in ("from-gguf", "from-folder")
    ]

    prompt = engines[0].encode("the hen")
    replies = await engines[0].sample(prompt, seeds=range(4), max_tokens=20)
    scores = [await engine.log_probs(prompt, replies) for engine in engines]

    assert np.abs(scores[0] - scores[1]).max() < 1e-3
    assert prompt[0] == 1 and prompt[-2:] == (2, 1)
    assert json.loads((tmp_path / "from-gguf" / "config.json").read_text())["tie_word_embeddings"] is True
    for engine in engines:
        await engine.close()


async def test_the_imported_model_scores_replies_as_llama_cpp_computes_the_file(tmp_path: Path) -> None:
    import_gguf(write_gguf(tmp_path / "model.gguf"), tmp_path / "out")
    engine = await open_engine(f"embedded:{tmp_path / 'out'}", EngineOptions())
    prompt = engine.encode("the hen")

    replies = await engine.sample(prompt, seeds=range(4), max_tokens=20)
    scores = await engine.log_probs(prompt, replies)

    plain = Llama(as_stored(), heads=HEADS, kv_heads=KV_HEADS)
    expected = [plain.log_prob(prompt, reply.token_ids) for reply in replies]
    assert np.abs(scores - expected).max() < 1e-3
    await engine.close()


def named() -> list[tuple[str, np.ndarray]]:
    """The weights by their names in Transformers."""
    from workers.engines.embedded.gguf_file import NAMES

    found = []
    for name, weight in weights().items():
        layer, _, last = name.rpartition(".")
        place = f"model.layers.{layer.removeprefix('blk.')}." if layer else ""
        found.append((f"{place}{NAMES[last]}.weight", weight))
    return found


def plain(weight: np.ndarray, kind: Any) -> LazyTensor:
    if kind is not None and weight.ndim == 2 and len(weight) != len(TOKENS):
        weight = dequantize(quantize(weight, kind), kind).astype(np.float32)
    return LazyTensor(weight.shape, lambda: weight)


@pytest.mark.parametrize("share", [0, 1e-3, 0.1, 0.5, 0.99])
def test_a_file_that_was_copied_in_part_is_refused(tmp_path: Path, refused: Any, share: float) -> None:
    whole = write_gguf(tmp_path / "model.gguf").read_bytes()
    part = tmp_path / "part.gguf"
    part.write_bytes(whole[: int(share * len(whole))])

    refused(part, "it is empty" if share == 0 else "not a whole GGUF file")


def test_an_unknown_quantisation_is_refused(tmp_path: Path, refused: Any) -> None:
    path = write_gguf(tmp_path / "model.gguf", kind=gguf.GGMLQuantizationType.Q8_0)
    name, q8 = b"blk.0.attn_v.weight", (8).to_bytes(4, "little")
    content = path.read_bytes()
    at = content.index(q8, content.index(name) + len(name) + 4 + 2 * 8)
    path.write_bytes(content[:at] + (999).to_bytes(4, "little") + content[at + 4 :])

    refused(path, "999")


def test_a_file_without_a_chat_template_is_refused(tmp_path: Path, refused: Any) -> None:
    refused(write_gguf(tmp_path / "model.gguf", template=None), "no chat template")


def test_a_tokenizer_that_merges_into_no_token_is_refused(tmp_path: Path, refused: Any) -> None:
    refused(write_gguf(tmp_path / "model.gguf", merge="h x"), "parts do not fit")


def test_another_family_is_refused(tmp_path: Path, refused: Any) -> None:
    refused(write_gguf(tmp_path / "model.gguf", family="gemma2"), "family gemma2")


def test_what_is_no_gguf_file_is_refused(tmp_path: Path, refused: Any) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"<html>not found</html>" * 100)

    refused(path, "not a whole GGUF file")


def test_what_is_no_gguf_file_is_refused_before_a_package_is_asked_for(
    tmp_path: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "receipt.html"
    path.write_bytes(b"<!DOCTYPE html>")
    monkeypatch.setitem(sys.modules, "gguf", None)

    refused(path, "begins with b'<!DO', and not with b'GGUF'")
