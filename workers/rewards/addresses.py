"""Where a model beside the reference engine is, and what can be wrong with that before anybody is asked."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from workers.engines.base import Scorer
from workers.engines.compatibility import insist_tokenizer
from workers.engines.openai_http.address import FORM, parse_address
from workers.errors import SettingsError

OVER_NETWORK = ("http:", "https:")
IN_PROCESS = "vllm:"


@dataclass(frozen=True, slots=True)
class Address:
    """What makes two engines one.

    `tokenizer` is the folder whose chat template frames what it is asked; empty: that of the reference server.
    `dimensions` of the embeddings that it is asked for; 0: it is asked for log-probabilities.
    """

    name: str
    api_key: str = field(default="", repr=False)
    tokenizer: str = ""
    dimensions: int = 0

    @property
    def over_network(self) -> bool:
        return self.name.startswith(OVER_NETWORK)


def located(engine: str, beside: Path, opened: Iterable[str]) -> str:
    """The engine's name; the folder in `vllm:FOLDER` is looked for in `beside`, as all paths of a file that lies there.

    Where it is no such folder the name stays: it may be one on the hub. An engine that is open and has that folder is
    named as it was opened.
    """
    folder = _folder(engine, beside)
    if folder is None:
        return engine
    same = (name for name in opened if (other := _folder(name, Path())) and other.samefile(folder))
    return next(same, f"{IN_PROCESS}{folder}")


def _folder(engine: str, beside: Path) -> Path | None:
    """Of a model in this process, if there is one of that name."""
    if not engine.startswith(IN_PROCESS) or engine == IN_PROCESS:
        return None
    try:
        folder = beside / Path(engine.removeprefix(IN_PROCESS)).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError):  # a name too long for a path; `~` of a user that is not known
        return None


def insist_server(address: Address) -> None:
    """SettingsError: the name is not that of a model on a server."""
    if not parse_address(address.name).model:
        raise SettingsError(f"{address.name} names no model: an engine over HTTP is named {FORM}")


def insist_folder(tokenizer: str, reference: Scorer) -> None:
    """SettingsError: the folder on this machine cannot be read, or has another tokenizer than the reference engine."""
    from workers.engines.openai_http.open import framing_of  # with it come libraries that only a server needs

    framing, _ = framing_of(tokenizer)
    insist_tokenizer(tokenizer, framing.sha256, reference)


@contextmanager
def told_at(where: str) -> Iterator[None]:
    """The place in the file stands before what is wrong there."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from None
