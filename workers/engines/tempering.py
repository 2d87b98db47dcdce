"""A model decoded at a temperature is another model, and for most families an exact one: its final norm divided by T.

The logits are the head's matrix times the last state, and the last state is the norm's weight times a vector. Dividing
the norm's weight by T divides every logit by T: softmax(logits / T) is what the new weights give at temperature 1.
"""

import json
import math
import shutil
from pathlib import Path

from workers.engines.model_folder import CONFIG, CT2, TEMPERATURE, ModelFolder
from workers.engines.safetensors_file import replace_tensor
from workers.errors import SettingsError

NORM = "model.norm.weight"
#: Families whose last layer is an RMS norm times `NORM`, then a head without a bias, then nothing.
LINEAR = frozenset({"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"})
#: Settings of other families that change logits behind the head.
CAPS = ("final_logit_softcapping", "output_logit_soft_cap", "logits_soft_cap")
LOWEST, HIGHEST = 0.05, 20.0


def temper(source: Path, temperature: float, out: Path) -> None:
    """Write the model of the folder `source`, decoded at `temperature`, to the new folder `out`.

    The norm is stored in float32 there; a model that computes in bfloat16 rounds it, which moves each of its entries by
    at most one part in 512. SettingsError: dividing its norm does not divide the model's logits, or files are missing.
    """
    model = ModelFolder(source)
    require_linear(model)
    if not (math.isfinite(temperature) and LOWEST <= temperature <= HIGHEST):
        raise SettingsError(f"a temperature from {LOWEST} to {HIGHEST} can be; not {temperature}")
    if out.exists():
        raise SettingsError(f"{out} is there already; give the name of a folder to make")
    norm = model.tensor(NORM)
    fresh = out.with_name(f"{out.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    # The CTranslate2 copy, if there is one, has the old norm
    shutil.copytree(source, fresh, ignore=shutil.ignore_patterns(CT2, model.files[NORM].name, CONFIG))
    replace_tensor(model.files[NORM], fresh / model.files[NORM].name, NORM, norm / temperature)
    config = model.config | {TEMPERATURE: model.temperature * temperature}
    (fresh / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    fresh.rename(out)


def require_linear(model: ModelFolder) -> None:
    """SettingsError: dividing the model's final norm is not known to divide its logits."""
    families = model.config.get("architectures")
    family = families[0] if isinstance(families, list) and families else "none"
    if caps := [name for name in CAPS if model.config.get(name) is not None]:
        raise SettingsError(
            f"{model.path} ({family}) caps its logits ({caps[0]}): a cap is not linear, so no weights are this model "
            "decoded at another temperature"
        )
    if family not in LINEAR:
        raise SettingsError(
            f"{model.path} is of the architecture {family}; that dividing the final norm divides the logits is known "
            f"of {', '.join(sorted(LINEAR))} only"
        )
    if biased := [name for name in model.files if name.endswith("lm_head.bias")]:
        raise SettingsError(f"{model.path} has {biased[0]}: what the head adds would not be divided by the temperature")
