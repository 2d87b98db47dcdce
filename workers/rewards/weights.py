"""The weights of a linear probe, from JSON or from an .npz file; nothing in either is ever executed."""

import io
import json
import lzma
import zipfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.errors import SettingsError
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
