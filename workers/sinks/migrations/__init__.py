"""The schema of the PostgreSQL copy, in numbered steps: each is applied once, and never changed afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from workers.errors import TesseraError


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. `sha256`: of its text, hexadecimal."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return sha256(self.text.encode()).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """All steps that this release knows, in their order."""
    found = sorted(one.name for one in files(__package__).iterdir() if one.name.endswith(".sql"))
    return tuple(
        Migration(int(name[:4]), name.removesuffix(".sql"), (files(__package__) / name).read_text(encoding="utf-8"))
        for name in found
    )


def missing(applied: Mapping[int, str]) -> tuple[Migration, ...]:
    """The steps that a database lacks. `applied`: number -> SHA-256 of those that it has.

    TesseraError: a newer release made its schema, or a step was another one when it was applied.
    """
    known = {one.number: one for one in migrations()}
    if newer := applied.keys() - known.keys():
        raise TesseraError(
            f"the database has migration {max(newer)} of schema tessera, and this release knows {max(known)}: a newer "
            "release wrote it; go on with that one"
        )
    if changed := [one.name for number, digest in applied.items() if (one := known[number]).sha256 != digest]:
        raise TesseraError(f"migration {changed[0]} was another one when it was applied to this database")
    return tuple(one for number, one in known.items() if number not in applied)
