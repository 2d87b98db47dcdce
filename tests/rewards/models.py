"""Engines without a model that pass for several: each with an identity, adapters, faults, and a count of closings."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.engines import catalogue, embedders
from workers.engines.base import Limits, Prompt, Reply, Scorer
from workers.engines.null import NullEngine
from workers.engines.options import EngineOptions
from workers.errors import EngineUnavailable, SettingsError
from workers.rewards.bulkhead import Bulkhead
from workers.rewards.open import Sources


class Fake(NullEngine):
    """The null engine under another name: its numbers follow from the name too. `fault`: raised by every call."""

    def __init__(self, name: str, *, adapters: Sequence[str] = (), tokenizer: str = "", vocabulary: int = 0) -> None:
        super().__init__()
        digest = sha256(name.encode()).hexdigest()
        tokenizer = sha256(tokenizer.encode()).hexdigest() if tokenizer else self.identity.tokenizer_sha256
        self.identity = replace(self.identity, name=name, model_sha256=digest, tokenizer_sha256=tokenizer)
        self.limits = Limits(vocabulary or self.limits.vocabulary, self.limits.context)
        self.adapters, self.fault, self.embedded, self.turns = adapters, None, 0, list[str]()
        self.closed = 0
        self._mark = tuple(4 + byte for byte in digest.encode()[:8])

    fault: Exception | None

    def encode(self, turn: str) -> Prompt:
        self.turns.append(turn)
        return (*super().encode(turn), *self._mark)

    async def log_probs(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        self._fail()
        return await super().log_probs(prompt, replies)

    async def embed(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        self._fail()
        self.embedded += 1
        return (await super().embed(prompt, replies))[:, : self.dimensions]

    def adapter(self, name: str) -> Scorer:
        if name not in self.adapters:
            raise SettingsError(f"no adapter {name!r}; there are: {', '.join(self.adapters)}")
        return Fake(name)

    async def close(self) -> None:
        self.closed += 1

    def _fail(self) -> None:
        if self.fault:
            raise self.fault


class Shelf:
    """What can be opened by name, how often it was, and which names do not answer."""

    def __init__(self, *engines: Fake) -> None:
        self.engines = {engine.identity.name: engine for engine in engines}
        self.opened: list[str] = []
        self.options: dict[str, EngineOptions] = {}
        self.down: set[str] = set()

    async def open(self, name: str, options: EngineOptions) -> Fake:
        if name in self.down:
            raise EngineUnavailable("no connection")
        self.opened.append(name)
        self.options[name] = options
        return self.engines[name]


@contextmanager
def on_shelf(*engines: Fake) -> Iterator[Shelf]:
    """The engines can be opened by their names, as engines and as embedders."""
    shelf = Shelf(*engines)
    with pytest.MonkeyPatch.context() as patch:
        for name in shelf.engines:
            patch.setitem(catalogue.ENGINES, name, lambda _, options, name=name: shelf.open(name, options))
            patch.setitem(embedders.EMBEDDERS, name, shelf.open)
        yield shelf


async def probes_of(sources: Sources) -> None:
    """Wait for the probes of models that are left out."""
    probes = [one._probe for one in sources.rewards.chosen.values() if isinstance(one, Bulkhead) and one._probe]
    if probes:
        await asyncio.wait(probes)
