"""A tokenizer folder as models come with it: a user's turn becomes token ids, and ids become text."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from workers.engines.base import Prompt
from workers.engines.chat_template import SPECIAL_TOKENS, render_turn
from workers.errors import SettingsError

FILE = "tokenizer.json"
CONFIG = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
DEFAULT = "default"  # the name of the template for plain questions, where there are several
MAX_NAMES = 500  # characters of a message
MARK = "\u2045turn\u2046"  # stands for the turn while the template is rendered; no template has it
SYSTEM_MARK = "\u2045system\u2046"  # for the system line

AGAIN = "is it a git-lfs pointer or a part of the file? Fetch the model again"


class ChatTokenizer:
    """The tokenizer and chat template in `folder`.

    What the template puts around a turn is encoded once. The turn is encoded by itself, with every special token in it
    as plain text, so that a stranger's words cannot end their turn. `frame` has what is put around it, text to ids;
    the operator's line `system` is a part of it. SettingsError: a file is missing or does not fit.
    """

    def __init__(self, folder: Path, system: str = "") -> None:
        content = _read(folder / FILE)
        self.sha256 = sha256(content).hexdigest()
        self._tokenizer = _tokenizer(content, folder)
        before, found, after = _rendered(folder, system).partition(MARK)
        if not found or MARK in after:
            raise SettingsError(f"the chat template in {folder} does not show a user's turn exactly once, unchanged")
        self._before, self._after = self.plain(before), self.plain(after)  # special tokens are meant as such
        self.frame = {before: self._before, after: self._after}
        self._tokenizer.encode_special_tokens = True

    @property
    def vocabulary(self) -> int:
        """How many ids the tokenizer knows; the model may have more."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, turn: str) -> Prompt:
        return (*self._before, *self.plain(turn), *self._after)

    def plain(self, text: str) -> Prompt:
        """The text's ids without a frame."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, token_ids: tuple[int, ...]) -> str:
        """Without special tokens, and without blanks at the ends."""
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=True)).strip()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; a tokenizer folder has {FILE}") from None


def _text_of(path: Path) -> str:
    try:
        return _read(path).decode()
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 ({error}); {AGAIN}") from None


def _tokenizer(content: bytes, folder: Path) -> Tokenizer:
    """Every text gets all of its ids and no others: training leaves its own lengths in the file."""
    try:
        tokenizer = Tokenizer.from_str(content.decode())
    except Exception as error:  # the library raises nothing narrower
        raise SettingsError(f"{folder / FILE} is not a tokenizer: {error}; {AGAIN}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _configuration(path: Path) -> dict[str, Any]:
    """Of the tokenizer; it may be missing."""
    if not path.exists():
        return {}
    try:
        config = json.loads(_text_of(path))
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is not JSON: {error}; {AGAIN}") from None
    if not isinstance(config, dict):
        raise SettingsError(f"{path} is not a JSON object; {AGAIN}")
    return config


def _rendered(folder: Path, system: str) -> str:
    """The template around one user's turn, up to where the model goes on, with the system line where there is one."""
    config = _configuration(folder / CONFIG)
    template = _template(folder, config)
    tokens = {name: _text(config[name]) for name in SPECIAL_TOKENS if config.get(name) is not None}
    try:
        rendered = render_turn(template, tokens, MARK, SYSTEM_MARK if system else "")
    except Exception as error:  # a template is a program: it may fail in every way
        raise SettingsError(f"the chat template in {folder} cannot be rendered: {error}") from error
    if rendered.count(SYSTEM_MARK) != bool(system):
        raise SettingsError(
            f"the chat template in {folder} does not show a system line exactly once, unchanged: this model has no "
            "place for one. Leave system out of TESSERA_PROMPTS_FILE and put the words into its turns"
        )
    return rendered.replace(SYSTEM_MARK, system)


def _template(folder: Path, config: dict[str, Any]) -> str:
    if (folder / TEMPLATE).exists():
        return _text_of(folder / TEMPLATE)
    template = config.get("chat_template")
    if isinstance(template, list):
        return _default(template, folder / CONFIG)
    if not isinstance(template, str):
        raise SettingsError(f"{folder} has no chat template, neither {TEMPLATE} nor one in {CONFIG}: a base model?")
    return template


def _default(templates: list[Any], path: Path) -> str:
    """Of several, each an object with its name."""
    named = {str(one.get("name")): one.get("template") for one in templates if isinstance(one, dict)}
    if not isinstance(named.get(DEFAULT), str):
        names = ", ".join(named)[:MAX_NAMES] or "none"
        raise SettingsError(
            f"{path} has several chat templates and none of them is called {DEFAULT!r}; there are: {names}. Copy the "
            f"one that replies to plain questions into {TEMPLATE} beside it"
        )
    return str(named[DEFAULT])


def _text(token: object) -> str:
    """A special token is named as text, or as an object around it."""
    return str(token.get("content", "")) if isinstance(token, dict) else str(token)
