"""Writes the tables of docs/reference.md and security.md: `python3 infra/readme.py`. A test fails when one is stale."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from workers.cli.settings_table import settings_table  # noqa: E402
from workers.operations.principals import principals  # noqa: E402  # the checkout itself, installed or not
from workers.stream.admin.rights import Principal  # noqa: E402

REFERENCE = ROOT / "docs" / "reference.md"
SECURITY = ROOT / "infra" / "security.md"


def settings() -> str:
    """The settings as a Markdown table."""
    rows = [f"| `{row.variable}` | {row.default} | {row.description} |" for row in settings_table()]
    return "\n".join(["| variable | default | |", "|---|---|---|", *rows])


def rights() -> str:
    """The principals as a Markdown table."""
    return "\n".join(["| principal | is | may |", "|---|---|---|", *map(_row, principals())])


def _row(principal: Principal) -> str:
    may = "<br>".join(
        f"{right.operation} {right.resource} `{right.name}{'*' * right.prefixed}`" for right in principal.rights
    )
    return f"| `{principal.name}` | {principal.purpose} | {may} |"


#: Where each table is, between its two marks.
TABLES = {REFERENCE: ("settings", settings), SECURITY: ("principals", rights)}


def generated(path: Path) -> str:
    """The file's text with its table written anew."""
    name, table = TABLES[path]
    begin, end = f"<!-- {name}: written by infra/readme.py -->", f"<!-- /{name} -->"
    before, rest = path.read_text().split(begin)
    return f"{before}{begin}\n{table()}\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    for path in TABLES:
        path.write_text(generated(path))
