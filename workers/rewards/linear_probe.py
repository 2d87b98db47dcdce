"""A linear function of an embedding in place of a scoring pass for each advertiser (the paper's section 4.1).

Its weights come from JSON or from an .npz file; nothing in either is ever executed.
"""

import asyncio
import io
import json
import lzma
import zipfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from schemas.auction import Bidder
from workers.engines.base import Embedder
from workers.engines.lazy import Lazy
from workers.errors import EngineError, SettingsError
from workers.rewards.base import Candidates
from workers.rewards.by_advertiser import origin_of
from workers.rewards.reading import read_bounded

MAX_BYTES = 4 * 1024 * 1024
MAX_DIMENSIONS = 65_536
FORM = 'an object {"w": [numbers], "b": number}, or an .npz file with the arrays w [dimensions] and b []'

#: What reading a stranger's bytes may raise. RuntimeError: encrypted members, methods that Python lacks, too deep.
UNREADABLE = (
    *(ValueError, KeyError, TypeError, OverflowError, RuntimeError, OSError, EOFError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


@dataclass(frozen=True, slots=True)
class Weights:
    """w·e + b, nats; finite."""

    w: NDArray[np.float64]  # [dimensions]
    b: float
    sha256: str  # of the file


def read_weights(path: Path, named_by: str) -> Weights:
    """SettingsError: the file cannot be read, has another form, or a number that is not finite."""
    content = read_bounded(path, MAX_BYTES, named_by)
    try:
        arrays = _arrays(content) if content.startswith(b"PK") else _numbers(content)
        w, b = arrays["w"], arrays["b"]
        if w.ndim != 1 or b.ndim != 0 or not 1 <= w.size <= MAX_DIMENSIONS:
            raise ValueError(f"w has shape {w.shape} and b {b.shape}, of at most {MAX_DIMENSIONS:,} numbers")
        if not (np.isfinite(w).all() and np.isfinite(b)):
            raise ValueError("a number is not finite")
    except UNREADABLE as error:
        raise SettingsError(f"{named_by}: {path} has no weights: {str(error)[:200]}; expected {FORM}") from None
    return Weights(w, float(b), sha256(content).hexdigest())


def _numbers(content: bytes) -> dict[str, NDArray[np.float64]]:
    found: Any = json.loads(content)
    if not isinstance(found, dict) or set(found) != {"w", "b"} or not isinstance(found["w"], list):
        raise ValueError("not that object")
    if not all(type(number) in (int, float) for number in (*found["w"], found["b"])):
        raise ValueError("something in it is not a number")
    return {name: np.array(value, np.float64) for name, value in found.items()}


def _arrays(content: bytes) -> dict[str, NDArray[np.float64]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: _array(archive, f"{name}.npy") for name in ("w", "b")}


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[np.float64]:
    """One member. Its size and shape are looked at before anything of that size is made: a file of a kilobyte can
    claim terabytes."""
    with archive.open(name) as member:
        content = member.read(MAX_BYTES + 1)
    header = io.BytesIO(content)
    version = np.lib.format.read_magic(header)
    if version != (1, 0):
        raise ValueError(f"{name} is not of version 1.0 of the format")
    shape, _, kind = np.lib.format.read_array_header_1_0(header)
    if kind.kind not in "fiu" or np.prod(shape, dtype=object) > MAX_DIMENSIONS or len(content) > MAX_BYTES:
        raise ValueError(f"{name} is not an array of at most {MAX_DIMENSIONS:,} numbers")
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False), np.float64)


class Embeddings:
    """The embeddings of an auction's candidates behind the question alone: asked for once, whoever needs them.

    No advertiser's text enters, so that all probes on one embedder share one pass over the candidates. An advertiser
    that stops waiting does not end the pass for the others.
    """

    def __init__(self, embedder: Lazy[Embedder]) -> None:
        self.embedder = embedder
        self._passes: WeakKeyDictionary[Candidates, asyncio.Task[NDArray[np.float64]]] = WeakKeyDictionary()

    async def of(self, candidates: Candidates) -> NDArray[np.float64]:
        """float64 [M, D]: one embedding of D numbers for each of the M replies of `candidates`. EngineError."""
        begun = self._passes.get(candidates)
        if begun is None:
            begun = self._passes[candidates] = asyncio.create_task(self._embed(candidates))
            begun.add_done_callback(_seen)
        return await asyncio.shield(begun)

    async def _embed(self, candidates: Candidates) -> NDArray[np.float64]:
        embedder = await self.embedder.available()
        return await embedder.embed(embedder.encode(candidates.reference_turn), candidates.replies)


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """value · (w·e(x, y) + b): `weights` were fitted so that w·e + b approximates the log-ratio in nats."""

    embeddings: Embeddings
    weights: Weights

    @property
    def origin(self) -> str | None:
        model = self.embeddings.embedder.model
        return origin_of("linear_probe", self.weights.sha256, model.identity.model_sha256) if model else None

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        embedded = await self.embeddings.of(candidates)
        if embedded.shape != (len(candidates.replies), len(self.weights.w)):
            raise EngineError(f"embeddings of shape {embedded.shape} for a probe of {len(self.weights.w)} dimensions")
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is its advertiser's abstention
            nats = embedded @ self.weights.w + self.weights.b
            return np.asarray(advertiser.value_micros_per_nat * nats)


def _seen(task: "asyncio.Task[NDArray[np.float64]]") -> None:
    """A failure reaches all who wait; where nobody waits any more there is nobody to tell."""
    if not task.cancelled():
        task.exception()
