"""How many token ids a server's model knows: it does not say, but the config.json beside its tokenizer does."""

import json
from pathlib import Path
from typing import Any

from workers.engines.tokenizer import Framing
from workers.errors import SettingsError

CONFIG = "config.json"
MAX_BYTES = 4 << 20
MAX_IDS = 1 << 24


def vocabulary_of(folder: Path, framing: Framing) -> int:
    """`vocab_size` of the model's configuration in the tokenizer's folder; without it, the tokenizer's own count.

    Models pad their vocabularies, and in process vLLM counts the padding: so the same model is as large over HTTP.
    SettingsError: the file cannot be read, or the tokenizer knows more tokens.
    """
    path = folder / CONFIG
    size = _size(path) if path.exists() else None
    if size is None:
        return framing.vocabulary
    if type(size) is not int or not framing.vocabulary <= size <= MAX_IDS:
        raise SettingsError(
            f"{path} says vocab_size {str(size)[:20]!r}, but the tokenizer beside it knows {framing.vocabulary} tokens "
            f"and no model more than {MAX_IDS}: use the folder that the server's model came with"
        )
    return size


def _size(path: Path) -> Any:
    """What the file says; models that take more than text have a part for it."""
    config = _config(path)
    part = config.get("text_config")
    return config.get("vocab_size", part.get("vocab_size") if isinstance(part, dict) else None)


def _config(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        config = json.loads(content) if len(content) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path} cannot be read: {str(error)[:200]}") from None
    if not isinstance(config, dict):
        raise SettingsError(f"{path} is no model's configuration: no JSON object of at most {MAX_BYTES} bytes")
    return config
