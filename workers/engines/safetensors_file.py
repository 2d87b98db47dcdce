"""Files of weights in the safetensors format: eight bytes of length, a header in JSON, the tensors' bytes.

Only what is asked for is read, so a folder of many gigabytes costs no memory.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAX_HEADER_BYTES = 100_000_000
FLOATS = ("F", "BF")  # the types of weights that are stored as they are, one number for each
STORED = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
CHUNK = 1 << 24


@dataclass(frozen=True, slots=True)
class Tensor:
    """One of the file's; its bytes are `[start, stop)` of what follows the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    stop: int = 0

    @property
    def is_plain(self) -> bool:
        """Not packed by a quantisation: the shape is that of the matrix."""
        return self.dtype.startswith(FLOATS)


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors by name. ValueError: the file has no such header. OSError: it cannot be read."""
    with path.open("rb") as file:
        _, content = _header(file)
    return _tensors(content)


def check_whole(path: Path) -> None:
    """ValueError: the file is shorter or longer than its header says."""
    with path.open("rb") as file:
        begin, content = _header(file)
    wanted = begin + max((tensor.stop for tensor in _tensors(content).values()), default=0)
    if path.stat().st_size != wanted:
        raise ValueError(f"it has {path.stat().st_size} bytes and its header describes {wanted}: copied in part?")


def read_tensor(path: Path, name: str) -> NDArray[np.float32]:
    """The tensor as float32, in the shape that the file gives, [D, E] or [D].

    ValueError: it is no plain float tensor, or not all of it is there.
    """
    with path.open("rb") as file:
        begin, content = _header(file)
        tensor = _tensors(content)[name]
        if tensor.dtype not in STORED:
            raise ValueError(f"{name} is stored as {tensor.dtype}, not as one of {', '.join(STORED)}")
        file.seek(begin + tensor.start)
        raw: NDArray[Any] = np.frombuffer(file.read(tensor.stop - tensor.start), STORED[tensor.dtype])
    if tensor.dtype == "BF16":  # the upper half of a float32
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(raw, np.float32).reshape(tensor.shape)


def replace_tensor(source: Path, out: Path, name: str, values: NDArray[np.float32]) -> None:
    """Copy the file with other `values`, [D] or of any other shape, in float32, for one of its tensors.

    ValueError: it is no whole file.
    """
    check_whole(source)
    with source.open("rb") as file, out.open("wb") as copy:
        begin, content = _header(file)
        header, old, new = json.loads(content), _tensors(content)[name], values.astype("<f4").tobytes()
        grown = len(new) - (old.stop - old.start)
        for entry in header.values():
            if entry.get("data_offsets", [0])[0] >= old.stop:
                entry["data_offsets"] = [place + grown for place in entry["data_offsets"]]
        header[name] |= {"dtype": "F32", "data_offsets": [old.start, old.start + len(new)]}
        _write_header(copy, header)
        _copy(file, copy, begin, old.start)
        copy.write(new)
        file.seek(begin + old.stop)
        copyfileobj(file, copy, CHUNK)


@dataclass(frozen=True, slots=True)
class LazyTensor:
    """A tensor that is made when it is written, so that one is in memory at a time."""

    shape: tuple[int, ...]
    made: Callable[[], NDArray[np.float32]]


def write_tensors(path: Path, tensors: Mapping[str, LazyTensor]) -> None:
    """A file of float32 tensors by their names."""
    header, start = {}, 0
    for name, tensor in tensors.items():
        stop = start + 4 * math.prod(tensor.shape)
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": (start, stop)}
        start = stop
    with path.open("wb") as file:
        _write_header(file, header)
        for tensor in tensors.values():
            file.write(tensor.made().astype("<f4").tobytes())


def _header(file: BinaryIO) -> tuple[int, bytes]:
    """Where the tensors begin, and the header."""
    length = int.from_bytes(file.read(8), "little")
    return 8 + length, file.read(min(length, MAX_HEADER_BYTES))


def _tensors(content: bytes) -> dict[str, Tensor]:
    try:
        header = json.loads(content)
        return {
            name: Tensor(str(entry["dtype"]), tuple(map(int, entry["shape"])), *map(int, entry["data_offsets"]))
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ValueError("its header does not describe tensors") from None


def _write_header(file: BinaryIO, header: Mapping[str, object]) -> None:
    """Padded with blanks, as the format asks, so that the tensors begin at a multiple of eight."""
    content = json.dumps(header, separators=(",", ":")).encode()
    content += b" " * (-len(content) % 8)
    file.write(len(content).to_bytes(8, "little") + content)


def _copy(source: BinaryIO, out: BinaryIO, begin: int, count: int) -> None:
    source.seek(begin)
    while count:
        part = source.read(min(count, CHUNK))
        out.write(part)
        count -= len(part)
