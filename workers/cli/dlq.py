"""`tessera dlq`: the records that were refused, and why; `workers.cli.redrive` sends them through again."""

import asyncio
import re
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path

import click

from schemas.letter import DeadLetter, Place
from schemas.lines import dead_letter_line
from schemas.moments import read_moment
from schemas.topics import DEAD_LETTERS
from workers.cli import dead_letter_view, options, render
from workers.cli.dead_letter_source import stored_letters
from workers.cli.dlq_send import send
from workers.cli.redrive import redrive
from workers.errors import TesseraError
from workers.operations.dead_letter_search import find
from workers.operations.redrive import check_topic, parse_place
from workers.pipeline import now
from workers.settings import Settings

WIDE = 280  # columns that the table needs, so that nothing is folded; a pipe has them
ROWS = 50
MOST_ROWS = 10_000
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@click.group(cls=options.Group)
def dlq() -> None:
    """Look at the records that were refused (dead letters), send them through again, or put one there by hand.

    A record that a stage cannot work on goes to the dead-letter topic of the topic it was read from: key, value and
    headers as they were, and headers dlq.* with the reason. Dead letters are kept for 30 days.
    """


dlq.add_command(redrive)
dlq.add_command(send)


@dlq.command("list")
@click.option("--topic", metavar="NAME", help="Only this dead-letter topic. [default: all three]")
@options.dead_letter_reason
@click.option("--since", metavar="AGE|TIME", help="Only newer ones: 30s, 15m, 2h, 7d, or a time as in RFC 3339.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_ROWS),
    metavar="N",
    help=f"Only the newest N; totals count all. [default: {ROWS}, and all with --json]",
)
@options.bootstrap_servers
@options.as_json
def list_(
    topic: str | None,
    reason: str | None,
    since: str | None,
    limit: int | None,
    bootstrap_servers: str | None,
    as_json: bool,
) -> None:
    """List the dead letters, newest last, and how many there are of each reason.

    The first column is the letter's place, which `show` and `redrive` take. `redriven` marks a letter whose record was
    itself redriven before and refused again. --json prints CloudEvents lines, the value in base64.

    \b
    Examples:
      tessera dlq list
      tessera dlq list --reason EXPIRED --since 2h
      tessera dlq list --topic auction.query.submitted.v1.dlq --json | jq -r .dlqmessage
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    topics = [check_topic(topic)] if topic else list(DEAD_LETTERS)
    letters = stored_letters(settings, topics, reason, moment(since, now()) if since else None)
    asyncio.run(_print(letters, limit, as_json))


@dlq.command()
@click.argument("place", metavar="TOPIC/PARTITION/OFFSET")
@click.option(
    "--value",
    "file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE|-",
    help="Write the refused value there, byte for byte, and print nothing else.",
)
@options.bootstrap_servers
@options.as_json
def show(place: str, file: Path | None, bootstrap_servers: str | None, as_json: bool) -> None:
    """Show one dead letter whole: why it was refused, its headers, its key and its value.

    A value that a terminal cannot show as it is appears as a dump of its first bytes.

    \b
    Examples:
      tessera dlq show auction.query.submitted.v1.dlq/0/17
      tessera dlq show auction.query.submitted.v1.dlq/0/17 --value refused.json
      tessera dlq show auction.query.submitted.v1.dlq/0/17 --value - | jq .
    """
    wanted = parse_place(place)
    letter = asyncio.run(_letter(Settings.read(bootstrap_servers=bootstrap_servers), wanted))
    if file is not None:
        _write(file, letter.record.value or b"")
    elif as_json:
        click.echo(dead_letter_line(letter.record))
    else:
        click.echo("\n".join(dead_letter_view.whole(letter)))


def moment(text: str, at: datetime) -> datetime:
    """The time that an age before `at`, or a time as in RFC 3339, names. TesseraError: it is neither."""
    if found := re.fullmatch(r"([0-9]{1,6})([smhd])", text):
        try:
            return at - timedelta(**{UNITS[found[2]]: int(found[1])})
        except OverflowError:
            raise TesseraError(f"--since {text} lies before all times") from None
    try:
        return read_moment(text)
    except ValueError as error:
        raise TesseraError(f"--since {text!r} is neither an age, as 30s, 15m, 2h or 7d, nor a time: {error}") from None


async def _print(letters: AsyncGenerator[DeadLetter, None], limit: int | None, as_json: bool) -> None:
    """Closed at once where whoever reads the output has had enough: the event loop ends before a collector would."""
    async with aclosing(letters):
        await (_print_lines(letters, limit) if as_json else _print_table(letters, limit or ROWS))


async def _print_lines(letters: AsyncIterator[DeadLetter], limit: int | None) -> None:
    if limit is None:
        async for letter in letters:
            click.echo(dead_letter_line(letter.record))
        return
    newest: deque[DeadLetter] = deque(maxlen=limit)
    async for letter in letters:
        newest.append(letter)
    for letter in newest:
        click.echo(dead_letter_line(letter.record))


async def _print_table(letters: AsyncIterator[DeadLetter], limit: int) -> None:
    rows: deque[dead_letter_view.DeadLetterRow] = deque(maxlen=limit)
    reasons: Counter[str] = Counter()
    async for letter in letters:
        rows.append(dead_letter_view.row(letter))
        reasons[letter.reason] += 1
    console = render.console(piped_width=WIDE)
    if rows:
        console.print(
            *([dead_letter_view.table(rows)] if console.width >= WIDE else dead_letter_view.blocks(rows)), sep="\n"
        )
    click.echo(dead_letter_view.totals(reasons, len(rows)))


async def _letter(settings: Settings, place: Place) -> DeadLetter:
    (letter,) = await find(stored_letters(settings, [place.topic]), [place])
    return letter


def _write(file: Path, value: bytes) -> None:
    if str(file) == "-":
        click.echo(value, nl=False)
        return
    try:
        file.write_bytes(value)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise TesseraError(f"{file} cannot be written: {error.strerror}") from None
