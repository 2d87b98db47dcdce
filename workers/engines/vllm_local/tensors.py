"""What a safetensors file holds, from its header: JSON behind its length; no weights are read."""

import json
from dataclasses import dataclass
from pathlib import Path

MAX_HEADER_BYTES = 100_000_000
FLOATS = ("F", "BF")  # the types of weights that are stored as they are, one number for each


@dataclass(frozen=True, slots=True)
class Tensor:
    """One of the file's."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def is_plain(self) -> bool:
        """Not packed by a quantisation: the shape is that of the matrix."""
        return self.dtype.startswith(FLOATS)


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors by name. ValueError: the file has no such header. OSError: it cannot be read."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        content = file.read(min(length, MAX_HEADER_BYTES))
    try:
        header = json.loads(content)
        return {
            name: Tensor(str(entry["dtype"]), tuple(map(int, entry["shape"])))
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ValueError("its header does not describe tensors") from None
