"""The weights of a probe: two forms of file, and files that only pass for one."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workers.errors import SettingsError
from workers.rewards.linear_probe import MAX_BYTES, MAX_DIMENSIONS, Weights, read_weights

W = np.array([0.5, -1.0, 2.0])


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def read(folder: Path, content: bytes) -> Weights:
    path = folder / "weights"
    path.write_bytes(content)
    return read_weights(path, "rewards.json: advertisers.a.weights_file")


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"w": [0.5, -1, 2.0], "b": 0.25}).encode(),
        npz(w=W, b=np.float64(0.25)),
        npz(w=W.astype(np.float32), b=np.float32(0.25)),
    ],
    ids=["JSON", "npz", "npz of float32"],
)
def test_weights_in_json_and_npz_are_read_alike(tmp_path: Path, content: bytes) -> None:
    weights = read(tmp_path, content)

    assert weights.w.dtype == np.float64
    assert (weights.w.tolist(), weights.b) == ([0.5, -1.0, 2.0], 0.25)
    assert weights.sha256 == sha256(content).hexdigest()


class Boom:
    """Ends the test if anything unpickles it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return pytest.fail, ("unpickled",)


def claiming(shape: str, size: int = 8) -> bytes:
    """An archive of a few bytes whose array says that it is of that shape."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(size)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", member)
        archive.writestr("b.npy", member)
    return file.getvalue()


HOSTILE = {
    "nothing": b"",
    "an array alone": W.tobytes(),
    "a pickle": pickle.dumps(Boom()),
    "pickled inside": npz(w=np.array([Boom()], object), b=np.float64(0)),
    "no bias": npz(w=W),
    "another array too many dimensions": npz(w=W.reshape(1, 3), b=np.float64(0)),
    "a bias of two": npz(w=W, b=np.zeros(2)),
    "complex numbers": npz(w=W.astype(complex), b=np.float64(0)),
    "text": npz(w=np.array(["a"]), b=np.float64(0)),
    "no weights": npz(w=np.zeros(0), b=np.float64(0)),
    "not finite": npz(w=np.array([np.inf]), b=np.float64(0)),
    "a bias that is NaN": npz(w=W, b=np.float64("nan")),
    "too many": npz(w=np.zeros(MAX_DIMENSIONS + 1), b=np.float64(0)),
    "terabytes claimed": claiming("(1000000000000,)"),
    "a number of them that is none": claiming("(-1,)"),
    "a header that is a program": claiming("__import__('os').abort()"),
    "zeros that were compressed": npz(w=np.zeros(10**8, np.int8), b=np.float64(0)),
    "an archive cut short": npz(w=W, b=np.float64(0))[:-30],
    "an archive of nothing": b"PK\x05\x06" + bytes(18),
    "JSON that is a list": b"[1]",
    "JSON with more": b'{"w": [1], "b": 0, "c": 0}',
    "JSON with text": b'{"w": ["1"], "b": 0}',
    "JSON with truth": b'{"w": [true], "b": 0}',
    "JSON with NaN": b'{"w": [NaN], "b": 0}',
    "JSON with what no float holds": b'{"w": [1' + b"0" * 400 + b'], "b": 0}',
    "JSON of depth": b"[" * 100_000,
    "too much": b" " * MAX_BYTES + b"{}",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_any_file_is_read_or_refused_with_a_message(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SettingsError, match=r"advertisers\.a\.weights_file: ") as caught:
        read(tmp_path, content)

    assert str(tmp_path / "weights") in str(caught.value)
