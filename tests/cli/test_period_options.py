"""`--from` and `--to` of every command that has both."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from workers.cli import cli
from workers.cli.period import MomentOption


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif command is not None:
            yield (*path, name), command


OF_A_PERIOD = [
    (path, command)
    for path, command in commands(cli)
    if {one.name for one in command.params if isinstance(one.type, MomentOption)} == {"begin", "end"}
]


def test_the_commands_of_a_period_are_found() -> None:
    assert {" ".join(path) for path, _ in OF_A_PERIOD} >= {"balance", "export", "sink parquet", "statement", "whatif"}


@pytest.mark.parametrize(("path", "command"), OF_A_PERIOD, ids=[" ".join(path) for path, _ in OF_A_PERIOD])
@pytest.mark.parametrize("turned", [False, True], ids=["from first", "to first"])
def test_a_period_that_ends_before_it_begins_is_named(
    path: tuple[str, ...], command: click.Command, turned: bool
) -> None:
    required = ["x" for one in command.params if isinstance(one, click.Argument) and one.required]
    limits = [["--from", "2026-12-01"], ["--to", "2026-11-01"]]
    given = [*required, *(limits[turned]), *(limits[not turned])]

    done = CliRunner().invoke(cli, [*path, *given])

    assert done.exit_code == 2
    said = " ".join(done.output.split())
    assert "2026-12-01" in said and "2026-11-01" in said and "later than --from" in said, said
