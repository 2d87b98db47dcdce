"""In which form benchmarks run, and where the full one writes what it measured: a table, and JSON in `reports/`."""

import cProfile
import json
import math
import platform
import pstats
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parents[2] / "reports"
T = TypeVar("T")
Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Scale:
    """Full, for the figures, with `-m benchmark`; or short, in seconds with all other tests, for the code alone."""

    is_full: bool

    def __call__(self, full: T, short: T) -> T:
        """The one that belongs to this form."""
        return full if self.is_full else short

    def report(self, name: str, rows: Rows) -> None:
        """Print and keep the rows; of a short form, only see to it that everything was measured."""
        figures = [value for row in rows for value in row.values() if isinstance(value, float)]
        assert rows and all(map(math.isfinite, figures)), f"{name} has not measured everything: {rows}"
        if self.is_full:
            report(name, rows)


def report(name: str, rows: Rows) -> None:
    """Print the rows and write them to reports/<name>.json with the date and the machine."""
    table = Table(*rows[0], title=name, title_justify="left")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(highlight=False).print(table)
    FOLDER.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    content = {"name": name, "at": datetime.now(UTC).isoformat(timespec="seconds"), **machine, "rows": list(rows)}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def print_profile(work: Callable[[], object]) -> None:
    """The functions in which one call of it spends its time."""
    profile = cProfile.Profile()
    profile.runcall(work)
    pstats.Stats(profile).sort_stats("tottime").print_stats(12)
