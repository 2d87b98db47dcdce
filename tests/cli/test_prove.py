"""`tessera prove`: its table, its exit code, and that a counterexample can be called up again."""

import json
from pathlib import Path

from tests.support.forked_command import tessera
from workers.truthfulness.properties import PROPERTIES


def rows(*options: str) -> dict[str, dict[str, float]]:
    done = tessera("prove", "--json", *options)
    assert done.returncode == 0 or "--rule" in options, done.stderr.decode()
    return {row["property"]: row for row in map(json.loads, done.stdout.splitlines())}


def test_prove_measures_every_property_and_finds_no_violation(tmp_path: Path) -> None:
    page = tmp_path / "properties.md"

    done = tessera("prove", "--auctions", "60", "--seed", "3", "--markdown", str(page))

    assert done.returncode == 0, done.stdout.decode()
    for name, property_ in PROPERTIES.items():
        assert name in done.stdout.decode()
        assert f"| {name} | {property_.statement} |" in page.read_text()
    assert "`tessera prove --auctions 60 --seed 3 --first 0 --rule offset --markdown FILE`" in page.read_text()


def test_prove_json_has_a_line_for_each_property() -> None:
    found = rows("--auctions", "60", "--seed", "3")

    assert list(found) == list(PROPERTIES)
    assert found["distribution"]["checked"] == 60
    assert 0 < found["truthful"]["checked"] < 60  # somebody must bid for it
    assert all(row["worst_margin"] <= row["tolerance"] and not row["violations"] for row in found.values())


def test_prove_refutes_a_rule_that_is_not_billed_and_repeats_the_case() -> None:
    done = tessera("prove", "--rule", "no_offset", "--auctions", "30")
    again = next(line for line in done.stdout.decode().splitlines() if line.startswith("no deficit is violated"))
    number = again.split()[-1]

    assert done.returncode == 1
    assert again.endswith(f"tessera prove --rule no_offset --seed 0 --auctions 1 --first {number}")
    options = ["--rule", "no_offset", "--seed", "0"]
    alone = rows(*options, "--auctions", "1", "--first", number)["no deficit"]
    campaign = rows(*options, "--auctions", "30")["no deficit"]
    assert (alone["violations"], alone["worst_auction"]) == (1, int(number))
    assert alone["worst_margin"] == campaign["worst_margin"]
    assert campaign["violations"] > 1


def test_the_no_offset_rule_is_strategyproof() -> None:
    assert rows("--rule", "no_offset", "--auctions", "20")["truthful"]["violations"] == 0
