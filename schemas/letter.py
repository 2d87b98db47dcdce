"""A dead letter read back: what was refused, where and why, and the record that goes out again when it is redriven."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import takewhile
from typing import NamedTuple

from schemas.dead_letter import PREFIX, Header
from schemas.record import Headers, Outgoing, Record
from schemas.topics import DEAD_LETTERS

MOST_SEARCHED_BYTES = 1024 * 1024  # a larger value is not searched for its query id
MOST_DIGITS = 19


class Place(NamedTuple):
    """Where a record lies; written `TOPIC/PARTITION/OFFSET`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True)
class DeadLetter:
    """A record of a dead-letter topic. What its headers do not say is empty, None or 0: strangers can write there."""

    record: Record

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The letter's own, as text: those from the last VERSION on. All of them where a stranger wrote none."""
        ours = [*takewhile(lambda pair: pair[0] != Header.VERSION, reversed(self.record.headers))]
        return _as_text(self.record.headers[-len(ours) - 1 :])

    @property
    def place(self) -> Place:
        return Place(self.record.topic, self.record.partition, self.record.offset)

    @property
    def reason(self) -> str:
        return self._said(Header.REASON)

    @property
    def code(self) -> str:
        return self._said(Header.CODE)

    @property
    def message(self) -> str:
        return self._said(Header.MESSAGE)

    @property
    def stage(self) -> str:
        return self._said(Header.STAGE)

    @property
    def timestamp(self) -> str:
        """The refused record's, ms since 1970."""
        return self._said(Header.TIMESTAMP)

    @property
    def source(self) -> Place | None:
        """Where the refused record lies, or lay."""
        topic, partition, offset = self._said(Header.TOPIC), self._number(Header.PARTITION), self._number(Header.OFFSET)
        return None if not topic or partition is None or offset is None else Place(topic, partition, offset)

    @property
    def redriven(self) -> str:
        """The letter that the refused record was redriven from."""
        return _as_text(self.record.headers).get(Header.REDRIVEN, "")

    @property
    def redrives(self) -> int:
        return _number(_as_text(self.record.headers).get(Header.REDRIVES, "")) or 0

    @property
    def original_headers(self) -> Headers:
        return tuple(pair for pair in self.record.headers if not pair[0].startswith(PREFIX))

    @property
    def query_id(self) -> str | None:
        """The record's key, or else the id in its value, where either can be read."""
        if self.record.key is not None:
            return self.record.key.decode(errors="replace")
        value = self.record.value or b""
        try:
            found = json.loads(value) if len(value) <= MOST_SEARCHED_BYTES else None
        except (ValueError, RecursionError):
            return None
        named = found.get("query_id") if isinstance(found, dict) else None
        return named if isinstance(named, str) else None

    @property
    def is_whole(self) -> bool:
        """Whether the value has the SHA-256 it had when it was refused."""
        return sha256(self.record.value or b"").hexdigest() == self._said(Header.VALUE_SHA256)

    @property
    def is_cut(self) -> bool:
        """Whether something of the refused record is missing."""
        return not self.headers.keys().isdisjoint(
            (Header.VALUE_TRUNCATED, Header.KEY_TRUNCATED, Header.HEADERS_DROPPED)
        )

    @property
    def is_batch(self) -> bool:
        """Whether it holds a packed batch that nobody could read, in place of records."""
        return Header.BATCH_CODEC in self.headers

    @property
    def kept_bytes(self) -> int | None:
        """How many bytes of the value are kept, where that is not all."""
        return self._number(Header.VALUE_TRUNCATED)

    @property
    def key_sha256(self) -> bytes | None:
        """Of the key that was refused, where that was cut."""
        return self._digest(Header.KEY_SHA256) if Header.KEY_TRUNCATED in self.headers else None

    @property
    def value_sha256(self) -> bytes | None:
        """Of the value that was refused, where that was cut."""
        return self._digest(Header.VALUE_SHA256) if self.kept_bytes is not None else None

    def _said(self, name: Header) -> str:
        return self.headers.get(name, "")

    def _number(self, name: Header) -> int | None:
        return _number(self._said(name))

    def _digest(self, name: Header) -> bytes | None:
        text = self._said(name)
        return bytes.fromhex(text) if re.fullmatch("[0-9a-f]{64}", text) else None


def redriven(letter: DeadLetter) -> Outgoing:
    """The refused record to be written once more: the same key, value and headers, and where it comes from."""
    record = letter.record
    added = (
        (Header.REDRIVEN.value, str(letter.place).encode()),
        (Header.REDRIVES.value, str(letter.redrives + 1).encode()),
    )
    return Outgoing(DEAD_LETTERS[record.topic].name, record.key, record.value, (*letter.original_headers, *added))


def is_redriven(record: Record) -> bool:
    """Whether the record was a dead letter and was sent through again."""
    return any(name == Header.REDRIVEN for name, _ in record.headers)


def _as_text(headers: Headers) -> dict[str, str]:
    return {name: (value or b"").decode(errors="replace") for name, value in headers}


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None
