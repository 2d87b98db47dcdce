"""Where benchmarks write what they measured: a table on the terminal and JSON in `reports/`."""

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parents[2] / "reports"


def report(name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Print the rows and write them to reports/<name>.json with the date and the machine."""
    table = Table(*rows[0], title=name, title_justify="left")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(highlight=False).print(table)
    FOLDER.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    content = {"name": name, "at": datetime.now(UTC).isoformat(timespec="seconds"), **machine, "rows": list(rows)}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
