"""Models beside the reference engine, each opened once however many advertisers name it."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from workers.engines.base import Embedder, Engine
from workers.engines.catalogue import open_engine
from workers.engines.compatible import insist_same_tokenizer, open_checked
from workers.engines.deadline import within
from workers.engines.embedders import open_embedder
from workers.engines.late import Late
from workers.engines.options import EngineOptions
from workers.errors import EngineTimeout, EngineUnavailable, SettingsError

MAX_ENGINES = 64
START = timedelta(seconds=10)  # how long a start waits for servers
OVER_NETWORK = ("http:", "https:")


@dataclass(frozen=True, slots=True)
class Address:
    """What makes two engines one. `embeds`: it is asked for embeddings, not for log-probabilities.

    `tokenizer` is the folder whose chat template frames what it is asked; empty: that of the reference server.
    """

    name: str
    api_key: str = field(default="", repr=False)
    tokenizer: str = ""
    embeds: bool = False


class OwnEngines:
    """Named one by one, then reached together and closed together; all on the reference engine's tokenizer."""

    def __init__(self, opened: Mapping[str, Engine], reference: Engine, options: EngineOptions) -> None:
        self._opened, self._reference, self._options = opened, reference, options
        self._lates: dict[Address, Late[Any]] = {}
        self._named_by: dict[Address, str] = {}  # the place that was first to name it

    def model(self, address: Address, where: str) -> Late[Engine]:
        """One that scores. SettingsError: too many."""
        if address.name in self._opened and not address.tokenizer:
            return Late.of(self._opened[address.name])
        return self._late(address, where)

    def embedder(self, address: Address, where: str) -> Late[Embedder]:
        """One that embeds. SettingsError: too many."""
        return self._late(replace(address, embeds=True), where)

    async def reach(self) -> tuple[str, ...]:
        """Open them all; a sentence for each that does not answer yet. SettingsError: one is not what it should be.

        In this process one after the other, since each measures the memory that is left; over the network at once.
        """
        remote = [address for address in self._lates if address.name.startswith(OVER_NETWORK)]
        silent = [await self._reach(address) for address in self._lates if address not in remote]
        silent += await asyncio.gather(*(self._within_a_start(address) for address in remote))
        return tuple(sentence for sentence in silent if sentence)

    async def close(self) -> None:
        """Every one of them, whatever happens to the others."""
        async with AsyncExitStack() as stack:
            for late in self._lates.values():
                stack.push_async_callback(late.close)

    def _late(self, address: Address, where: str) -> Late[Any]:
        if address not in self._lates:
            if len(self._lates) == MAX_ENGINES:
                raise SettingsError(f"{where}: more than {MAX_ENGINES} engines beside the reference engine")
            self._lates[address], self._named_by[address] = Late(lambda: self._open(address)), where
        return self._lates[address]

    async def _open(self, address: Address) -> Any:
        """The reference server's key is not for others."""
        http = self._options.http
        http = replace(http, api_key=address.api_key, tokenizer=address.tokenizer or http.tokenizer)
        options = replace(self._options.without_adapters(), http=http)
        opening = (open_embedder if address.embeds else open_engine)(address.name, options)
        return await open_checked(
            opening, lambda model: insist_same_tokenizer(model, self._reference), self._named_by[address]
        )

    async def _within_a_start(self, address: Address) -> str | None:
        try:
            async with within(START):
                return await self._reach(address)
        except EngineTimeout as error:
            return self._silence(address, error)

    async def _reach(self, address: Address) -> str | None:
        try:
            await self._lates[address].opened()
        except EngineUnavailable as error:
            return self._silence(address, error)
        return None

    def _silence(self, address: Address, error: Exception) -> str:
        where = self._named_by[address]
        return f"{where}: {address.name} does not answer ({error}); who depends on it abstains until it does"
