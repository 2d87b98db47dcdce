"""The checks of the errors in the paper's text, as the replication kit prints them."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

KIT = Path(__file__).parents[2] / "infra" / "paper" / "README.md"
SETUP, *CHECKS = re.findall(r"^```python\n(.*?)^```", KIT.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("check", CHECKS, ids=[str(number) for number in range(len(CHECKS))])
def test_each_erratum_has_a_check_of_two_statements_that_holds(check: str) -> None:
    names: dict[str, Any] = {}
    exec(SETUP, names)  # noqa: S102  # our own document
    exec(check, names)  # noqa: S102

    assert len(ast.parse(check).body) == 2 and "assert" in check


def test_the_kit_names_every_claim_of_the_evaluation() -> None:
    text = KIT.read_text(encoding="utf-8")

    assert [f"N{number}" for number in range(5, 13) if f"| N{number} |" not in text] == []
    assert len(CHECKS) >= 5
