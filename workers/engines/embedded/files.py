"""The files of a model for CTranslate2: those that it was made of, and beside them what the library reads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.engines.model_folder import CT2, ModelFolder
from workers.errors import SettingsError

GENERATION = "generation_config.json"


@dataclass(frozen=True, slots=True)
class Files:
    """A model's name in events, its folder as Transformers saves it, and the folder that CTranslate2 reads."""

    name: str
    folder: ModelFolder
    ct2: Path

    @property
    def context(self) -> int:
        """How many positions the model was trained with."""
        return int(_known(self.folder, "max_position_embeddings"))

    @property
    def ends(self) -> tuple[int, ...]:
        """The tokens that end a reply. Chat models have several, and say so where generation is set up."""
        path = self.folder.path / GENERATION
        generation = json.loads(path.read_bytes()) if path.exists() else {}
        ends = generation.get("eos_token_id") or _known(self.folder, "eos_token_id")
        return tuple(map(int, ends if isinstance(ends, list) else [ends]))


def model_files(name: str) -> Files:
    """The folder of `embedded:FOLDER`. SettingsError: it has no CTranslate2 copy."""
    path = Path(name).expanduser()
    if not (path / CT2 / "model.bin").is_file():
        raise SettingsError(
            f"TESSERA_ENGINE: {path} holds no model for `embedded:`; `tessera model import SOURCE --out FOLDER` makes "
            "such a folder of a model as Transformers saves it"
        )
    return Files(f"embedded:{path.name}", ModelFolder(path), path / CT2)


def ct2_files(folder: Path) -> dict[str, bytes]:
    """The model's files by name; read once, so that a generator per auction costs no disk access."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _known(folder: ModelFolder, key: str) -> Any:
    if folder.config.get(key) is None:
        raise SettingsError(f"{folder.path / 'config.json'} does not say {key}")
    return folder.config[key]
