"""`tessera verify` before it has met a broker: files that are none, brokers that are not there."""

from pathlib import Path

import pytest

from tests.cli.test_commands import refused
from tests.support.forked_command import tessera


@pytest.mark.parametrize(
    ("option", "content", "says"),
    [
        ("--plan", "nonsense\n", "line 1: a line of a plan is"),
        ("--faults", "{}", "names no fault"),
        ("--witness", "{}\n", "line 1: not a line of a witness"),
        ("--witness", "", "has no record in it"),
        ("--resources", '{"t_s": 1}\n', "line 1: expected"),
    ],
)
def test_a_malformed_file_exits_with_2_and_is_named(tmp_path: Path, option: str, content: str, says: str) -> None:
    path = tmp_path / "given"
    path.write_text(content)

    done = tessera("verify", option, str(path), "--json")

    assert f"{path}" in refused(done) and says in refused(done)
    assert not done.stdout


def test_a_missing_file_exits_with_2() -> None:
    done = tessera("verify", "--plan", "nowhere.jsonl")

    assert done.returncode == 2
    assert b"nowhere.jsonl" in done.stderr


@pytest.mark.parametrize("arguments", [["--complete"], ["--record-witness", "seen.jsonl"]])
def test_an_unreachable_broker_exits_with_2_and_leaves_no_file(tmp_path: Path, arguments: list[str]) -> None:
    given = [str(tmp_path / one) if one.endswith(".jsonl") else one for one in arguments]

    line = refused(tessera("verify", *given, kafka="127.0.0.1:1"))

    assert "127.0.0.1:1" in line and "TESSERA_BOOTSTRAP_SERVERS" in line
    assert list(tmp_path.iterdir()) == []


def test_the_help_says_what_it_checks_and_needs() -> None:
    said = tessera("verify", "--help").stdout.decode()

    assert all(word in said for word in ("one_end", "source_complete", "ACLs", "Exit codes", "Examples:"))
