"""A Llama in Transformers' format becomes one in CTranslate2's, with numpy alone; both keep every number exactly."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from numpy.typing import NDArray
from tokenizers import Tokenizer

from workers.engines.embedded.gguf_file import unpack
from workers.engines.model_folder import CONFIG, CT2, ModelFolder
from workers.engines.tempering import NORM
from workers.engines.tokenizer import FILE, ChatTokenizer
from workers.errors import SettingsError

ARCHITECTURE = "LlamaForCausalLM"
#: Settings under which the layers are not those that `_fill` knows.
PLAIN = {"attention_bias": False, "mlp_bias": False, "hidden_act": "silu"}
ROPE_BASE = 10_000.0


def import_folder(source: Path, out: Path) -> None:
    """Copy the model in `source` to the new folder `out`, with a copy that `embedded:` reads.

    SettingsError: it is no Llama, files are missing, or there is no chat template.
    """
    if out.exists():
        raise SettingsError(f"{out} is there already; give the name of a folder to make")
    _require_importable(source)
    fresh = out.with_name(f"{out.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh, ignore=shutil.ignore_patterns(CT2))
    add_ct2(fresh)
    fresh.rename(out)


def import_gguf(source: Path, out: Path) -> None:
    """As `import_folder`, of a GGUF file. SettingsError: as there, and of `unpack`."""
    if out.exists():
        raise SettingsError(f"{out} is there already; give the name of a folder to make")
    fresh = out.with_name(f"{out.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        unpack(source, fresh)
        add_ct2(fresh)
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def add_ct2(folder: Path) -> None:
    """Write what `embedded:` reads into the model's own folder. SettingsError: as above."""
    _require_importable(folder)
    spec = _spec(ModelFolder(folder))
    (folder / CT2).mkdir()
    spec.save(str(folder / CT2))


def _require_importable(folder: Path) -> None:
    _require_llama(ModelFolder(folder).config, folder)
    ChatTokenizer(folder)


def _require_llama(config: dict[str, Any], source: Path) -> None:
    families = config.get("architectures")
    if families != [ARCHITECTURE]:
        raise SettingsError(
            f"{source} is a model of {families}; `embedded:` runs {ARCHITECTURE}. vllm:FOLDER runs others"
        )
    other = [name for name, value in PLAIN.items() if config.get(name, value) != value]
    if other or _rope(config).get("rope_type", "default") != "default":
        raise SettingsError(
            f"{source / CONFIG} has {', '.join(other) or 'scaled rotary positions'}, which `embedded:` does not "
            "compute; vllm:FOLDER does"
        )
    if config.get("quantization_config"):
        raise SettingsError(
            f"{source} is quantised; `embedded:` is made of plain weights. vllm:FOLDER runs it as it is"
        )


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """Of Transformers 5; in 4 the base stands in the configuration itself, and a scaling beside it."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return {"rope_theta": config.get("rope_theta", ROPE_BASE), **rope}


def _spec(model: ModelFolder) -> Any:
    config = model.config
    heads = int(config["num_attention_heads"])
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        int(config["num_hidden_layers"]),
        heads,
        activation=common_spec.Activation.SWISH,
        pre_norm=True,
        ffn_glu=True,
        rms_norm=True,
        rotary_dim=0,
        rotary_interleave=False,
        rotary_base=float(_rope(config)["rope_theta"]),
        num_heads_kv=int(config.get("num_key_value_heads") or heads),
        head_dim=config.get("head_dim"),
    )
    _fill(spec.decoder, model)
    spec.config.layer_norm_epsilon = float(config["rms_norm_eps"])
    spec.config.unk_token = ""
    spec.register_vocabulary(_tokens(model))
    spec.validate()
    return spec


def _fill(decoder: Any, model: ModelFolder) -> None:
    embedding = model.tensor("model.embed_tokens.weight")
    tied = model.config.get("tie_word_embeddings", False)
    decoder.scale_embeddings = False
    decoder.embeddings.weight = embedding
    decoder.projection.weight = embedding if tied else model.tensor("lm_head.weight")
    decoder.layer_norm.gamma = model.tensor(NORM)
    for index, layer in enumerate(decoder.layer):
        _fill_layer(layer, model, f"model.layers.{index}")


def _fill_layer(layer: Any, model: ModelFolder, at: str) -> None:
    def weight(name: str) -> NDArray[np.float32]:
        return model.tensor(f"{at}.{name}.weight")

    attention, ffn = layer.self_attention, layer.ffn
    attention.layer_norm.gamma = weight("input_layernorm")
    attention.linear[0].weight = np.concatenate([weight(f"self_attn.{one}_proj") for one in "qkv"])
    attention.linear[1].weight = weight("self_attn.o_proj")
    ffn.layer_norm.gamma = weight("post_attention_layernorm")
    ffn.linear_0.weight, ffn.linear_0_noact.weight = weight("mlp.gate_proj"), weight("mlp.up_proj")
    ffn.linear_1.weight = weight("mlp.down_proj")


def _tokens(model: ModelFolder) -> list[str]:
    """A name for each row of the embedding, which may have more than the tokenizer."""
    tokenizer, size = Tokenizer.from_file(str(model.path / FILE)), int(model.config["vocab_size"])
    names = [tokenizer.id_to_token(token) for token in range(size)]
    return [name if name is not None else f"<unused {token}>" for token, name in enumerate(names)]
