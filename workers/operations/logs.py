"""The log of a process that runs stages, on standard error: lines for people, or JSON for a collector of logs.

Of a kind of line, MOST_LINES are shown in PERIOD_S; the first one behind says how many were left out. A producer that
sends what cannot be read makes a dead letter of each record, and must not fill a disk as well.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from workers.stream.operator_lines import Told

MOST_LINES, PERIOD_S = 100, 60.0
LOGGERS = ("workers", "asyncio")  # aiokafka's own lines are for its developers: ours say what they mean for us
LEFT_OUT = "left_out"


class Ration(logging.Filter):
    """A limit for each kind of line. Notes in the record how many were left out before it."""

    def __init__(self, most: int = MOST_LINES, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._now = most, now
        self._began: dict[str, float] = {}
        self._seen: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = _kind(record)
        if self._now() - self._began.get(kind, -PERIOD_S) >= PERIOD_S:
            setattr(record, LEFT_OUT, max(0, self._seen.get(kind, 0) - self._most))
            self._began[kind], self._seen[kind] = self._now(), 0
        self._seen[kind] += 1
        return self._seen[kind] <= self._most


class TextLines(logging.Formatter):
    """Time, level and sentences."""

    def format(self, record: logging.LogRecord) -> str:
        left_out = getattr(record, LEFT_OUT, 0)
        behind = f". {left_out} more lines of this kind were left out before it" if left_out else ""
        return f"{_time(record)} {record.levelname.lower()}: {super().format(record)}{behind}"


class JsonLines(logging.Formatter):
    """An object a line: `time`, `level`, `line` (its kind), `happened`, `means`, `do`, and the fields of that kind."""

    def format(self, record: logging.LogRecord) -> str:
        row: dict[str, Any] = {"time": _time(record), "level": record.levelname.lower(), "line": _kind(record)}
        if (told := _told(record)) is None:
            row["happened"] = super().format(record)
        else:
            row |= told.sentences() | told.fields
        if left_out := getattr(record, LEFT_OUT, 0):
            row[LEFT_OUT] = left_out
        return json.dumps(row, default=str)


@contextmanager
def logging_to(stream: TextIO, *, as_json: bool) -> Iterator[None]:
    """Until the block is left, what stages tell goes there."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    handler.addFilter(Ration())
    ours = logging.getLogger(LOGGERS[0])
    before = ours.level
    ours.setLevel(logging.INFO)
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        ours.setLevel(before)
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(handler)


def _told(record: logging.LogRecord) -> Told | None:
    (first, *_) = record.args if isinstance(record.args, tuple) and record.args else (None,)
    return first if isinstance(first, Told) else None


def _kind(record: logging.LogRecord) -> str:
    told = _told(record)
    return record.name if told is None else told.line.name


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
