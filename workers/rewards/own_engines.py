"""Models beside the reference engine, each opened once however many advertisers name it.

Where one is, and what can be wrong with that, is checked before anybody is asked.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from workers.engines.base import Embedder, Engine, Scorer
from workers.engines.calls import within
from workers.engines.catalogue import open_engine
from workers.engines.compatibility import open_checked, require_same_tokenizer, require_tokenizer
from workers.engines.embedders import open_embedder
from workers.engines.lazy import Lazy
from workers.engines.openai_http.address import FORM, parse_address
from workers.engines.options import EngineOptions
from workers.errors import EngineError, EngineUnavailable, SettingsError

OVER_NETWORK = ("http:", "https:")
IN_PROCESS = "vllm:"


@dataclass(frozen=True, slots=True)
class EngineAddress:
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
        """Whether it is asked over HTTP."""
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


def require_server(address: EngineAddress) -> None:
    """SettingsError: the name is not that of a model on a server."""
    if not parse_address(address.name).model:
        raise SettingsError(f"{address.name} names no model: an engine over HTTP is named {FORM}")


def require_tokenizer_folder(tokenizer: str, reference: Scorer) -> None:
    """SettingsError: the folder on this machine cannot be read, or has another tokenizer than the reference engine."""
    from workers.engines.openai_http.open import tokenizer_of  # with it come libraries that only a server needs

    framing, _ = tokenizer_of(tokenizer)
    require_tokenizer(tokenizer, framing.sha256, reference)


@contextmanager
def errors_at(where: str) -> Iterator[None]:
    """The place in the file stands before what is wrong there."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from None


MAX_ENGINES = 64
START = timedelta(seconds=10)  # how long a start waits for servers


class OwnEngines:
    """Named one by one, then reached together and closed together; all on the reference engine's tokenizer."""

    def __init__(self, opened: Mapping[str, Engine], reference: Engine, options: EngineOptions) -> None:
        self._opened, self._reference, self._options = opened, reference, options
        self._lazy_models: dict[EngineAddress, Lazy[Any]] = {}
        self._named_by: dict[EngineAddress, str] = {}  # the place that was first to name it
        self._folders: set[str] = set()  # with tokenizers that are known to be right

    def model(self, address: EngineAddress, where: str) -> Lazy[Engine]:
        """One that scores. SettingsError: too many, or it is named wrongly."""
        if address.name in self._opened and not address.tokenizer:
            return Lazy.of(self._opened[address.name])
        return self._lazy(address, where)

    def embedder(self, address: EngineAddress, dimensions: int, where: str) -> Lazy[Embedder]:
        """One that embeds in so many dimensions. SettingsError: too many, or it is named wrongly."""
        return self._lazy(replace(address, dimensions=dimensions), where)

    async def reach(self) -> tuple[str, ...]:
        """Open them all; a sentence for each that is not there, or not what it must be, and will be asked again.

        In this process one after the other, since each measures the memory that is left; over the network at once.
        SettingsError: one in this process is not what it should be. What a server says is not the operator's mistake:
        could it end a start, one advertiser would keep everybody's auctions from being held.
        """
        remote = [address for address in self._lazy_models if address.over_network]
        missing = [await self._reach_here(address) for address in self._lazy_models if address not in remote]
        missing += await asyncio.gather(*(self._reach_server(address) for address in remote))
        return tuple(sentence for sentence in missing if sentence)

    async def close(self) -> None:
        """Every one of them, whatever happens to the others."""
        async with AsyncExitStack() as stack:
            for lazy in self._lazy_models.values():
                stack.push_async_callback(lazy.close)

    def _lazy(self, address: EngineAddress, where: str) -> Lazy[Any]:
        if address not in self._lazy_models:
            if len(self._lazy_models) == MAX_ENGINES:
                raise SettingsError(f"{where}: more than {MAX_ENGINES} engines beside the reference engine")
            if address.over_network:
                self._require_valid_name(address, where)
            self._lazy_models[address], self._named_by[address] = Lazy(lambda: self._open(address)), where
        return self._lazy_models[address]

    def _require_valid_name(self, address: EngineAddress, where: str) -> None:
        """As far as it can be seen without the server."""
        folder = address.tokenizer or self._options.http.tokenizer
        with errors_at(where):
            require_server(address)
        if folder not in self._folders:
            with errors_at(where.removesuffix("engine") + "tokenizer" if address.tokenizer else where):
                require_tokenizer_folder(folder, self._reference)
            self._folders.add(folder)

    async def _open(self, address: EngineAddress) -> Any:
        """The reference server's key is not for others."""
        http = self._options.http
        http = replace(http, api_key=address.api_key, tokenizer=address.tokenizer or http.tokenizer)
        options = replace(self._options.without_adapters(), http=http)
        opening = (open_embedder if address.dimensions else open_engine)(address.name, options)
        return await open_checked(
            opening, lambda model: self._require_compatible(model, address), self._named_by[address]
        )

    def _require_compatible(self, model: Any, address: EngineAddress) -> None:
        require_same_tokenizer(model, self._reference)
        if address.dimensions:
            require_dimensions(model, address.dimensions)

    async def _reach_here(self, address: EngineAddress) -> str | None:
        try:
            await self._lazy_models[address].opened()
        except EngineUnavailable as error:
            return self._missing(address, "does not answer", error)
        return None

    async def _reach_server(self, address: EngineAddress) -> str | None:
        try:
            async with within(START):
                await self._lazy_models[address].opened()
        except EngineError as error:
            return self._missing(address, "does not answer", error)
        except SettingsError as error:
            return self._missing(address, "cannot be used", error)
        return None

    def _missing(self, address: EngineAddress, how: str, error: Exception) -> str:
        where = self._named_by[address]
        reason = str(error).removeprefix(f"{where}: ")
        return f"{where}: {address.name} {how} ({reason}); who depends on it abstains until that is put right"


def require_dimensions(embedder: Embedder, dimensions: int) -> None:
    """SettingsError unless a probe of so many weights fits."""
    if embedder.dimensions != dimensions:
        raise SettingsError(
            f"{dimensions} weights for embeddings of {embedder.dimensions} dimensions; fit them to embeddings of "
            f"{embedder.identity.name}"
        )
