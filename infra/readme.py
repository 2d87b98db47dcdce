"""Writes the README's settings table: `python3 infra/readme.py`. A test fails when it is stale."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from workers.settings import settings_table  # noqa: E402  # the checkout itself, installed or not

README = ROOT / "README.md"
BEGIN, END = "<!-- settings: written by infra/readme.py -->", "<!-- /settings -->"


def table() -> str:
    """The settings as a Markdown table."""
    rows = [f"| `{row.variable}` | {row.default} | {row.description} |" for row in settings_table()]
    return "\n".join(["| variable | default | |", "|---|---|---|", *rows])


def generated(text: str) -> str:
    """`text` with everything between the two marks written anew."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    README.write_text(generated(README.read_text()))
