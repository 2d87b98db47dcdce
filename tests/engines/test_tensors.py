"""A safetensors file whose header describes no tensors is a ValueError, whatever it holds instead."""

from pathlib import Path

import pytest

from workers.engines.safetensors_file import read_header


@pytest.mark.parametrize(
    "header", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a": {"dtype": "F32", "shape": [Infinity]}}', b'{"a": 1}']
)
def test_a_malformed_safetensors_header_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)

    with pytest.raises(ValueError):
        read_header(path)
