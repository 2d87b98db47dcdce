"""Files of queries: one JSON object a line, as on the query topic; fifty of them are bundled."""

from importlib.resources import files
from pathlib import Path

from schemas.payload import BadRecord
from schemas.query import QuerySubmitted
from workers.errors import SettingsError

MOST_QUERIES = 10_000
BUNDLED = files("workers.cli") / "demo_queries.jsonl"


def load_queries(path: Path | None, limit: int | None = None) -> list[QuerySubmitted]:
    """The queries of a file, the bundled ones without one; SettingsError names the line that is none."""
    lines = (path or BUNDLED).read_bytes().splitlines()
    found: list[QuerySubmitted] = []
    for number, line in enumerate(lines, 1):
        if line.strip() and len(found) < (limit or MOST_QUERIES):
            found.append(_parse(line, f"{path or 'bundled queries'}, line {number}"))
    if not found:
        raise SettingsError(f"{path} has no query in it")
    return found


def _parse(line: bytes, where: str) -> QuerySubmitted:
    try:
        return QuerySubmitted.decode(line)
    except BadRecord as error:
        raise SettingsError(f"{where} is not a query: {error.reason.name}: {error}") from None
