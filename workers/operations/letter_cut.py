"""What a dead letter says is missing in it: what was too large to be kept whole, or could not be read at all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Self

from schemas.record import Headers

FIRST_OF_OURS = "dlq.version"  # what stands before it is the refused record's, whatever its name
CUTS = ("dlq.value.truncated", "dlq.key.truncated", "dlq.headers.dropped")


@dataclass(frozen=True)
class Cut:
    """The letter's own headers, as text."""

    said: Mapping[str, str]

    @classmethod
    def of(cls, headers: Headers) -> Self:
        ours = [*takewhile(lambda pair: pair[0] != FIRST_OF_OURS, reversed(headers))]
        return cls({name: (value or b"").decode(errors="replace") for name, value in ours})

    @property
    def is_any(self) -> bool:
        """Whether something of the refused record is missing."""
        return any(name in self.said for name in CUTS)

    @property
    def is_batch(self) -> bool:
        """Whether the letter holds a packed batch that nobody could read, in place of records."""
        return "dlq.batch.codec" in self.said

    @property
    def value_bytes(self) -> int | None:
        """How many bytes of the value are kept, where that is not all."""
        text = self.said.get("dlq.value.truncated", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    @property
    def key_sha256(self) -> bytes | None:
        """Of the key that was refused, where that was cut."""
        return self.digest("dlq.key.sha256") if "dlq.key.truncated" in self.said else None

    @property
    def value_sha256(self) -> bytes | None:
        """Of the value that was refused, where that was cut."""
        return self.digest("dlq.value.sha256") if self.value_bytes is not None else None

    def digest(self, name: str) -> bytes | None:
        text = self.said.get(name, "")
        return bytes.fromhex(text) if re.fullmatch("[0-9a-f]{64}", text) else None
