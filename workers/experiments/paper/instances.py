"""The instances: questions with the advertisers that bid on each, one query of the query topic a line."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from schemas.payload import BadRecord
from schemas.query import Advertiser, QuerySubmitted
from workers.errors import SettingsError

#: Fifty questions with two fictitious advertisers each, the paper's two published examples among them.
BUNDLED = files("workers.experiments.paper") / "instances.jsonl"
MOST_INSTANCES = 10_000


@dataclass(frozen=True, slots=True)
class Instance:
    """One question and who bids on it. Nothing of the advertisers but name and description is read."""

    question: str
    advertisers: tuple[Advertiser, ...]

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of all that a model is told about it."""
        told = [self.question, *(part for one in self.advertisers for part in (one.name, one.description))]
        return sha256("\x1f".join(told).encode()).hexdigest()


def load_instances(path: Path | None = None, limit: int | None = None) -> tuple[Instance, ...]:
    """The instances of a file of queries, or the bundled ones; the first `limit` of them.

    SettingsError names the line that is no query with two advertisers or more.
    """
    lines = (path or BUNDLED).read_bytes().splitlines()
    wanted = [(number, line) for number, line in enumerate(lines, 1) if line.strip()][: limit or MOST_INSTANCES]
    if not wanted:
        raise SettingsError(f"{path} has no instance in it")
    return tuple(_read(line, f"{path or 'bundled instances'}, line {number}") for number, line in wanted)


def _read(line: bytes, where: str) -> Instance:
    try:
        query = QuerySubmitted.decode(line)
    except BadRecord as error:
        raise SettingsError(f"{where} is not a query: {error.reason.name}: {error}") from None
    if len(query.advertisers) < 2:
        raise SettingsError(f"{where} has {len(query.advertisers)} advertisers: the evaluation compares two or more")
    return Instance(query.text, query.advertisers)
