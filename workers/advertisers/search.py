"""Which advertisers a question finds: full-text search over descriptions and keywords, in memory (SQLite's FTS5).

What a search costs is bounded, whatever is asked and however many are registered: a word that thousands have says
little, so those that few have are looked up, the rarest first, until SCANNED profiles are looked at. Where every word
is common, a part of the registry is searched, another one for each text.
"""

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256

from workers.advertisers.registry import Registered

SCANNED = 1_000
MOST_WORDS = 48  # of a question that are looked at: its first ones

_FORM = "tokenize='porter unicode61 remove_diacritics 2', detail='none'"
_TABLES = f"""
PRAGMA journal_mode = OFF;
CREATE TABLE advertiser (row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, text TEXT NOT NULL);
CREATE VIRTUAL TABLE found USING fts5(text, content='', columnsize=0, {_FORM});
CREATE VIRTUAL TABLE asked USING fts5(text, {_FORM});
CREATE VIRTUAL TABLE asked_word USING fts5vocab(asked, row);
"""


class SearchIndex:
    """The advertisers that are approved, by the words of their descriptions and keywords."""

    def __init__(self) -> None:
        self._base = sqlite3.connect(":memory:")
        self._base.executescript(_TABLES)

    def __len__(self) -> int:
        return int(self._base.execute("SELECT count(*) FROM advertiser").fetchone()[0])

    def update(self, advertiser_id: str, registered: Registered | None) -> None:
        """Take in what the table tells of a change: who is gone, or no longer approved, is found no more."""
        text = _text(registered) if registered is not None and registered.status == "approved" else None
        before = self._base.execute("SELECT row, text FROM advertiser WHERE id = ?", [advertiser_id]).fetchone()
        if before is not None and before[1] != text:
            self._base.execute("INSERT INTO found(found, rowid, text) VALUES ('delete', ?, ?)", before)
            self._base.execute("DELETE FROM advertiser WHERE row = ?", before[:1])
        if text is not None and (before is None or before[1] != text):
            row = self._base.execute("INSERT INTO advertiser(id, text) VALUES (?, ?)", [advertiser_id, text]).lastrowid
            self._base.execute("INSERT INTO found(rowid, text) VALUES (?, ?)", [row, text])

    def find(self, text: str, most: int) -> Sequence[tuple[str, int]]:
        """Ids of at most `most` advertisers whom the text finds, the better ones first, with their rank from 0.

        An advertiser's score is the sum over the text's words that it has of log(1 + SCANNED/n), where n have the word,
        counted up to SCANNED; equal scores have one rank. Among equals at the end, a hash with the text decides.
        """
        self._base.commit()
        scores: defaultdict[int, float] = defaultdict(float)
        for rows in self._rows(text):
            for row in rows:
                scores[row] += math.log1p(SCANNED / len(rows))
        best = sorted(scores, key=lambda row: (-round(scores[row], 6), _place(text, row)))[:most]
        ranks = {score: rank for rank, score in enumerate(dict.fromkeys(round(scores[row], 6) for row in best))}
        return [(self._id(row), ranks[round(scores[row], 6)]) for row in best]

    def _rows(self, text: str) -> Iterable[Sequence[int]]:
        """Of each word that is looked up the rows that have it."""
        counts = {word: self._count(word) for word in self._words(text)}
        rare = [word for word, count in sorted(counts.items(), key=lambda one: one[1]) if 0 < count <= SCANNED]
        left = SCANNED
        for word in rare:
            yield self._having(word, 0, SCANNED)
            left -= counts[word]
            if left <= 0:
                return
        if not rare and (common := [word for word, count in counts.items() if count]):
            last = self._base.execute("SELECT max(row) FROM advertiser").fetchone()[0]
            begin = _place(text, 0) % last
            for word in common:
                yield self._having(word, begin, SCANNED // len(common))

    def _words(self, text: str) -> Sequence[str]:
        """The text's words as the index has them: without their case, accents and endings."""
        self._base.execute("DELETE FROM asked")
        self._base.execute("INSERT INTO asked(text) VALUES (?)", [text])
        words = self._base.execute("SELECT term FROM asked_word").fetchmany(MOST_WORDS)
        return [word for (word,) in words]

    def _count(self, word: str) -> int:
        some = "SELECT 1 FROM found WHERE found MATCH ? LIMIT ?"
        return int(self._base.execute(f"SELECT count(*) FROM ({some})", [_quoted(word), SCANNED + 1]).fetchone()[0])  # noqa: S608

    def _having(self, word: str, begin: int, most: int) -> Sequence[int]:
        """Rows that have the word, from a row on and then those before it."""
        later = "SELECT rowid FROM found WHERE found MATCH ? AND rowid >= ? LIMIT ?"
        found = [row for (row,) in self._base.execute(later, [_quoted(word), begin, most])]
        earlier = "SELECT rowid FROM found WHERE found MATCH ? AND rowid < ? LIMIT ?"
        found += [row for (row,) in self._base.execute(earlier, [_quoted(word), begin, most - len(found)])]
        return found

    def _id(self, row: int) -> str:
        return str(self._base.execute("SELECT id FROM advertiser WHERE row = ?", [row]).fetchone()[0])


def _text(registered: Registered) -> str:
    return " ".join((registered.profile.description, *registered.profile.keywords))


def _quoted(word: str) -> str:
    escaped = word.replace('"', '""')
    return f'"{escaped}"'


def _place(text: str, row: int) -> int:
    return int.from_bytes(sha256(f"{row}:{text}".encode(errors="surrogatepass")).digest()[:8])
