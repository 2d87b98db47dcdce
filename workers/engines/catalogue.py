"""Which engines there are, by the name in TESSERA_ENGINE.

`embedded`, `embedded:FOLDER`, `vllm:MODEL`, `http://HOST:PORT#MODEL`, `null`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from workers.engines.base import Engine
from workers.engines.calls import Retrying
from workers.engines.options import EngineOptions
from workers.errors import SettingsError

Open = Callable[[str, EngineOptions], Awaitable[Engine]]


async def _bundled(_: str, options: EngineOptions) -> Engine:
    from workers.engines.embedded.engine import EmbeddedEngine

    return EmbeddedEngine(threads=options.threads, system=options.system)


async def _embedded(folder: str, options: EngineOptions) -> Engine:
    """The model in a folder that `tessera model import` made."""
    from workers.engines.embedded.engine import EmbeddedEngine
    from workers.engines.embedded.files import model_files

    files = model_files(folder)
    return await asyncio.to_thread(lambda: EmbeddedEngine(files, threads=options.threads, system=options.system))


async def _null(_: str, options: EngineOptions) -> Engine:
    from workers.engines.null import NullEngine

    return NullEngine(options.system)


async def _http(scheme: str, rest: str, options: EngineOptions) -> Engine:
    """The name is the server's address as it is, `#` and the model: `http://HOST:PORT#MODEL`."""
    from workers.engines.openai_http.open import open_http

    return await open_http(f"{scheme}:{rest}", options)


async def _vllm(model: str, options: EngineOptions) -> Engine:
    from workers.engines.vllm_local import open_vllm

    return await open_vllm(model, options)


#: By the name itself.
ENGINES: dict[str, Open] = {"embedded": _bundled, "null": _null}


#: By what stands before the colon; the rest of the name is theirs to read.
KINDS: dict[str, Open] = {
    "embedded": _embedded,
    "vllm": _vllm,
    "http": partial(_http, "http"),
    "https": partial(_http, "https"),
}

FORMS = (*ENGINES, *(f"{kind}:..." for kind in KINDS))


def require_known(name: str) -> None:
    """SettingsError: no engine has this name, or its folder holds no model. Nothing is loaded."""
    _opener(name)
    kind, _, rest = name.partition(":")
    if kind == "embedded" and rest:
        from workers.engines.embedded.files import model_files

        model_files(rest)


async def open_engine(name: str, options: EngineOptions) -> Engine:
    """A loaded engine that retries its time-outs, its library imported only now.

    SettingsError: no engine has this name, or it cannot be what it is asked to be. MissingProgram: its library is not
    installed. EngineUnavailable: its server does not answer.
    """
    return Retrying(await _opener(name)(name.partition(":")[2], options))


def _opener(name: str) -> Open:
    opener = ENGINES.get(name) or KINDS.get(name.partition(":")[0])
    if opener is None:
        raise SettingsError(f"TESSERA_ENGINE: no engine is called {name!r}; there are: {', '.join(FORMS)}")
    return opener
