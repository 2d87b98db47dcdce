"""Where a model's files are, and which model it is: the digests of its weights."""

from collections.abc import Iterable
from hashlib import file_digest, sha256
from pathlib import Path

from workers.errors import SettingsError

CONFIG = "config.json"
WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")  # the first kind that is there is what vLLM loads
FETCHED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")  # of a model on the hub


def find_model(model: str) -> Path:
    """The model's folder; a name on the hub is fetched into the hub's cache. SettingsError: there is none."""
    folder = Path(model).expanduser()
    if not model:
        raise SettingsError("TESSERA_ENGINE: `vllm:` names no model; write vllm:FOLDER or vllm:NAME-ON-THE-HUB")
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
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(model, allow_patterns=list(FETCHED)))
    except (HFValidationError, OSError, ValueError) as error:  # the hub's other errors are OSErrors
        raise SettingsError(
            f"TESSERA_ENGINE: {model!r} is neither a folder here nor a model that the Hugging Face hub gives: {error}"
        ) from None
