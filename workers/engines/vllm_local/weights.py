"""Where a model's files are, and which model it is: the digests of its weights."""

import re
from collections.abc import Iterable
from hashlib import file_digest, sha256
from pathlib import Path

from workers.errors import SettingsError

CONFIG = "config.json"
WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")  # the first kind that is there is what vLLM loads
COMMIT = re.compile(r"[0-9a-f]{40}")
FETCHED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")  # of a model on the hub


def find_model(model: str) -> Path:
    """The model's folder; NAME@COMMIT on the hub is fetched into the hub's cache. SettingsError: there is none."""
    folder = Path(model).expanduser()
    if not model:
        raise SettingsError("TESSERA_ENGINE: `vllm:` names no model; write vllm:FOLDER or vllm:NAME-ON-THE-HUB@COMMIT")
    if not folder.is_dir():
        if folder.is_absolute() or model.startswith((".", "~")):
            raise SettingsError(f"TESSERA_ENGINE: there is no folder {folder}; `vllm:` takes a model's folder")
        folder = _fetched(model)
    for pattern in (CONFIG, WEIGHTS):
        if not _matching(folder, pattern if isinstance(pattern, tuple) else (pattern,)):
            raise SettingsError(
                f"TESSERA_ENGINE: {folder} is not a model: it has no {pattern if pattern == CONFIG else 'weights'}; "
                f"a model's folder has {CONFIG}, tokenizer.json and *.safetensors, as Transformers saves them"
            )
    return folder


def weights_sha256(folder: Path) -> str:
    """Digest of a model's weight files. `sha256sum *.safetensors | sha256sum` in its folder prints the same."""
    return _listing_sha256(_matching(folder, WEIGHTS))


def adapted_sha256(model_sha256: str, weights: Path) -> str:
    """Digest of a model with LoRA weights: the model's digest, a space and that of the LoRA file, hashed."""
    return sha256(f"{model_sha256} {_file_sha256(weights)}".encode()).hexdigest()


def _listing_sha256(paths: Iterable[Path]) -> str:
    return sha256("".join(f"{_file_sha256(path)}  {path.name}\n" for path in paths).encode()).hexdigest()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """In order of their names, the files of the first pattern that has any."""
    return next((found for pattern in patterns if (found := sorted(folder.glob(pattern)))), [])


def _fetched(model: str) -> Path:
    name, _, revision = model.partition("@")
    if not COMMIT.fullmatch(revision):
        raise SettingsError(
            f"TESSERA_ENGINE: {model!r} is no folder here. A model of the Hugging Face hub is named with its revision, "
            "since what lies under a name or a branch may be another model tomorrow: vllm:NAME@COMMIT, with the 40 "
            f"digits that `git ls-remote https://huggingface.co/{name} HEAD` prints; or download it and give the folder"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FETCHED)))
    except (HFValidationError, OSError, ValueError) as error:  # the hub's other errors are OSErrors
        raise SettingsError(
            f"TESSERA_ENGINE: {model!r} is neither a folder here nor a model that the Hugging Face hub gives: {error}"
        ) from None
