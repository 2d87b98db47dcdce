"""A model's folder as Transformers saves it: its configuration, and in which file each of its tensors is."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.engines.safetensors_file import check_whole, read_header, read_tensor
from workers.errors import SettingsError

CONFIG = "config.json"
CT2 = "ct2"  # what the embedded engine reads, in a folder of its own beside the files that it was made of
#: Our note in config.json; libraries pass over keys that they do not know.
TEMPERATURE = "tessera_temperature"


@dataclass(frozen=True)
class ModelFolder:
    """The files of one model. SettingsError, from every property: a file is missing or is not what its name says."""

    path: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """What config.json says."""
        try:
            config = json.loads((self.path / CONFIG).read_bytes())
        except OSError as error:
            raise SettingsError(f"{self.path} is not a model's folder: {CONFIG}: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"{self.path / CONFIG} is not JSON: {error}") from None
        if not isinstance(config, dict):
            raise SettingsError(f"{self.path / CONFIG} is not a JSON object")
        return config

    @cached_property
    def files(self) -> dict[str, Path]:
        """The file of each tensor, by the tensor's name."""
        found: dict[str, Path] = {}
        for path in sorted(self.path.glob("*.safetensors")):
            try:
                check_whole(path)
                found |= dict.fromkeys(read_header(path), path)
            except (OSError, ValueError) as error:
                raise SettingsError(f"{path} is not a whole safetensors file: {error}") from None
        if not found:
            raise SettingsError(f"{self.path} has no weights: *.safetensors, as Transformers saves them, are read")
        return found

    @property
    def temperature(self) -> float:
        """What `tessera model temper` divided the logits by; 1 where it did not."""
        return temperature_of(self.config)

    def tensor(self, name: str) -> NDArray[np.float32]:
        """One of the tensors as float32: a matrix is [D, E], outputs by inputs, a norm [D]."""
        if name not in self.files:
            raise SettingsError(f"{self.path} has no tensor {name}: not the weights of the model in its {CONFIG}")
        try:
            return read_tensor(self.files[name], name)
        except ValueError as error:
            raise SettingsError(f"{self.files[name]}: {error}") from None


def temperature_of(config: dict[str, Any]) -> float:
    """The note in a config.json. SettingsError: it is no temperature."""
    value = config.get(TEMPERATURE, 1.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise SettingsError(f"{CONFIG} says {TEMPERATURE} {str(value)[:20]!r}, which is no temperature")
    return float(value)


def named(name: str, temperature: float) -> str:
    """A model's name as events have it, with the temperature that is part of its weights."""
    return name if temperature == 1 else f"{name} at temperature {temperature:g}"
