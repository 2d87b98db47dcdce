"""Which models embed replies, by name: `null`, and `http://HOST:PORT#MODEL` for a server with /v1/embeddings."""

from collections.abc import Awaitable, Callable

from workers.engines.base import Embedder
from workers.engines.calls import RetryingEmbedder
from workers.engines.options import EngineOptions
from workers.errors import SettingsError

Open = Callable[[str, EngineOptions], Awaitable[Embedder]]  # by the whole name


async def _null(name: str, options: EngineOptions) -> Embedder:
    from workers.engines.null import NullEngine

    return NullEngine()


async def _http(name: str, options: EngineOptions) -> Embedder:
    from workers.engines.openai_http.embeddings import open_embeddings

    return await open_embeddings(name, options)


#: By the name, or by what stands before its colon.
EMBEDDERS: dict[str, Open] = {"null": _null, "http": _http, "https": _http}


async def open_embedder(name: str, options: EngineOptions) -> Embedder:
    """An embedder that retries its time-outs, its library imported only now.

    SettingsError: none has this name, or it cannot be what it is asked to be. EngineUnavailable: it does not answer.
    """
    opener = EMBEDDERS.get(name.partition(":")[0])
    if opener is None:
        raise SettingsError(f"no engine called {name!r} gives embeddings; these do: {', '.join(EMBEDDERS)}")
    return RetryingEmbedder(await opener(name, options))
