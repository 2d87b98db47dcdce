"""A map from ids to text in bounded memory: what was put in last is at hand, what is older lies on disk."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

AT_HAND = 4_096
#: "" is a file of SQLite's own in the folder for temporary files; it is gone when the connection is.
SETUP = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16384;
CREATE TABLE held (id TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
"""


def _on_disk() -> sqlite3.Connection:
    connection = sqlite3.connect("", isolation_level=None)
    connection.executescript(SETUP)
    return connection


@dataclass
class DiskMap:
    """Memory holds 2·AT_HAND entries at most and SQLite's cache of 16 MiB, however many there are."""

    _at_hand: dict[str, str] = field(default_factory=dict)  # put in last: last
    _disk: sqlite3.Connection | None = None

    def get(self, id_: str) -> str | None:
        if (found := self._at_hand.get(id_)) is not None or self._disk is None:
            return found
        with closing(self._disk.execute("SELECT text FROM held WHERE id = ?", (id_,))) as rows:
            row = rows.fetchone()
        return row[0] if row else None

    def put(self, id_: str, text: str) -> None:
        """In place of what the id had."""
        self._at_hand.pop(id_, None)
        self._at_hand[id_] = text
        if len(self._at_hand) > 2 * AT_HAND:
            self._move_half()

    def remove(self, id_: str) -> None:
        self._at_hand.pop(id_, None)
        if self._disk is not None:
            self._disk.execute("DELETE FROM held WHERE id = ?", (id_,))

    def items(self) -> Iterator[tuple[str, str]]:
        """All entries, in no order. Nothing may be put in or removed meanwhile."""
        yield from self._at_hand.items()
        if self._disk is not None:
            with closing(self._disk.execute("SELECT id, text FROM held")) as rows:
                yield from ((id_, text) for id_, text in rows if id_ not in self._at_hand)

    def _move_half(self) -> None:
        """The older half to the disk, in one transaction."""
        self._disk = self._disk or _on_disk()
        older = [(id_, self._at_hand[id_]) for id_, _ in zip(self._at_hand, range(AT_HAND), strict=False)]
        self._disk.execute("BEGIN")
        self._disk.executemany("REPLACE INTO held VALUES (?, ?)", older)
        self._disk.execute("COMMIT")
        for id_, _ in older:
            del self._at_hand[id_]

    def close(self) -> None:
        """Let go of the file."""
        if self._disk is not None:
            self._disk.close()
