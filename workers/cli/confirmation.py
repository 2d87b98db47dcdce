"""The question before something that cannot be undone."""

import sys

import click

from workers.errors import TesseraError

DECLINED = 1


def require_yes(question: str) -> None:
    """Ask on standard error, answer on standard input. Exit code 1: the answer was not yes.

    TesseraError: nobody could answer, as where cron or a CI runs the command.
    """
    click.echo(f"{question} [y/N]: ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        click.echo(err=True)
        raise TesseraError("nobody answered, so nothing was done: --yes answers where nobody sits at a terminal")
    if answer.strip().lower() not in ("y", "yes"):
        click.echo("nothing was done", err=True)
        raise SystemExit(DECLINED)
