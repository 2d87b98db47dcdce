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
ADVERTISERS = 2  # of an instance


@dataclass(frozen=True, slots=True)
class Instance:
    """One question and who bids on it. Nothing of the advertisers but name and description is read."""

    question: str
    advertisers: tuple[Advertiser, ...]
    proposed: tuple[Advertiser, ...] = ()  # as the context-aware model is told of them, if not like that

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of all that a model is told about it."""
        told = [self.question]
        told += [part for one in (*self.advertisers, *self.proposed) for part in (one.name, one.description)]
        return sha256("\x1f".join(told).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Instances:
    """Those of a file that the evaluation takes, and how many lines it passes over."""

    taken: tuple[Instance, ...]
    passed_over: int  # with another number of advertisers: the paper's figures are about two


def read_instances(path: Path | None = None, limit: int | None = None) -> Instances:
    """The instances of a file of queries, or the bundled ones, until `limit` of them are found.

    SettingsError names the line that is no query, or says that no line has two advertisers.
    """
    taken: list[Instance] = []
    passed_over = 0
    for number, line in enumerate((path or BUNDLED).read_bytes().splitlines(), 1):
        if len(taken) == (limit or MOST_INSTANCES):
            break
        if line.strip():
            found = _read(line, f"{path or 'bundled instances'}, line {number}")
            taken += [found] if len(found.advertisers) == ADVERTISERS else []
            passed_over += len(found.advertisers) != ADVERTISERS
    if not taken:
        raise SettingsError(f"{path}: none of its {passed_over} queries has {ADVERTISERS} advertisers")
    return Instances(tuple(taken), passed_over)


def load_instances(path: Path | None = None, limit: int | None = None) -> tuple[Instance, ...]:
    """Those that `read_instances` takes. SettingsError."""
    return read_instances(path, limit).taken


def _read(line: bytes, where: str) -> Instance:
    try:
        query = QuerySubmitted.decode(line)
    except BadRecord as error:
        raise SettingsError(f"{where} is not a query: {error.reason.name}: {error}") from None
    return Instance(query.text, query.advertisers)
