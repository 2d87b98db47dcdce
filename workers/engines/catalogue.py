"""Which engines there are, by the name in TESSERA_ENGINE."""

from collections.abc import Callable

from workers.engines.base import Engine
from workers.engines.retrying import Retrying
from workers.errors import SettingsError


def _embedded(threads: int) -> Engine:
    from workers.engines.embedded.engine import EmbeddedEngine

    return EmbeddedEngine(threads=threads)


def _null(threads: int) -> Engine:
    from workers.engines.null import NullEngine

    return NullEngine()


ENGINES: dict[str, Callable[[int], Engine]] = {"embedded": _embedded, "null": _null}


def open_engine(name: str, *, threads: int) -> Engine:
    """A loaded engine that retries its time-outs, its library imported only now; SettingsError for an unknown name."""
    if name not in ENGINES:
        raise SettingsError(f"TESSERA_ENGINE: no engine is called {name!r}; there are: {', '.join(ENGINES)}")
    return Retrying(ENGINES[name](threads))
