"""`tessera dlq redrive`: refused records published once more, unchanged, to the topic they came from."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import click

from schemas.envelope import timestamp
from schemas.letter import DeadLetter, redriven
from schemas.topics import DEAD_LETTERS, QUERIES
from workers.app.bus import bus_of
from workers.cli import options
from workers.cli.confirmation import require_yes
from workers.cli.dead_letter_source import stored_letters
from workers.cli.visible import visible
from workers.errors import TesseraError
from workers.operations.dead_letter_search import find
from workers.operations.redrive import MOST_REDRIVES, parse_place, why_not
from workers.pipeline import now
from workers.settings import Settings
from workers.stream.dead_letters import republish

MOST_BYTES = 256 * 1024 * 1024  # of all values redriven at once: they are held until the question is answered


@dataclass(frozen=True)
class Selection:
    """A letter, and why it is left out, if it is."""

    letter: DeadLetter
    why_not: str | None


@click.command()
@click.argument("places", nargs=-1, metavar="[TOPIC/PARTITION/OFFSET]...")
@options.dead_letter_reason
@click.option("--all", "every", is_flag=True, help="Every dead letter of the three topics, or with --reason of those.")
@click.option("--force", is_flag=True, help="Also those that would be refused again, or were redriven too often.")
@click.option("--dry-run", is_flag=True, help="Say what would be published, and publish nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.bootstrap_servers
@options.as_json
def redrive(
    places: tuple[str, ...],
    reason: str | None,
    every: bool,
    force: bool,
    dry_run: bool,
    yes: bool,
    bootstrap_servers: str | None,
    as_json: bool,
) -> None:
    """Publish refused records once more, to the topic they came from.

    Key, value and headers go out unchanged, but for headers dlq.*; dlq.redriven names the letter, and dlq.redrives
    counts. The letter itself stays where it is. Before anything is published you are told how many records go where,
    and asked.

    A query that has been settled is not settled again: what is redriven once too often becomes a DUPLICATE_QUERY, or
    from the scored topic leads to nothing.
    Only a query with neither key nor query_id gets a new id with each redrive, and so an auction and bills of its own.

    Refused unless --force: reasons that lie in the bytes themselves (BAD_JSON, BAD_SCHEMA, BAD_NUMBER, TOO_LARGE,
    BAD_KEY, KEY_REVEALED, DUPLICATE_QUERY, UNREADABLE), what would be refused again for its headers (BAD_HEADERS),
    queries whose stated deadline has passed, auctions whose day has not begun (BAD_EPOCH), and records that were
    redriven three times. Refused always: letters that hold only a part of the record, or a packed batch, and queries
    that were refused longer ago than settled ids are remembered, 7 days. A letter that is refused among those named
    stops the command; with --all it is left out.

    \b
    Examples:
      tessera dlq redrive auction.query.submitted.v1.dlq/0/17
      tessera dlq redrive --all --reason ENGINE_REJECTED --dry-run
      tessera dlq redrive --all --reason ENGINE_REJECTED --yes --json
    """
    if bool(places) == every:
        raise TesseraError("name the dead letters to redrive, as `tessera dlq list` prints them, or give --all")
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    letters = asyncio.run(_chosen(settings, places, reason))
    oldest = now() - timedelta(days=settings.id_window_days)
    selections = [
        Selection(letter, why_forgotten(letter, oldest) or why_not(letter, now(), force)) for letter in letters
    ]
    _check(selections, every)
    _announce(selections)
    wanted = [selection.letter for selection in selections if selection.why_not is None]
    if not dry_run:
        if not yes:
            require_yes("publish?")
        asyncio.run(republish(bus_of(settings), [redriven(letter) for letter in wanted]))
    _report(selections, dry_run, as_json)


def why_forgotten(letter: DeadLetter, oldest: datetime) -> str | None:
    """Why a query is not redriven even by force: it is new again then, and could be billed again."""
    if letter.record.topic != QUERIES.dead_letters or letter.record.time >= oldest:
        return None
    return (
        f"it was refused before {timestamp(oldest)}: it may have been redriven and settled since then, and its id "
        "forgotten (TESSERA_ID_WINDOW_DAYS); ask again under a new id"
    )


async def _chosen(settings: Settings, places: Sequence[str], reason: str | None) -> list[DeadLetter]:
    """The letters named, or all of them; of a reason, if one is given. TesseraError: there is none."""
    if places:
        wanted = list(dict.fromkeys(parse_place(place) for place in places))
        found = await find(stored_letters(settings, {place.topic for place in wanted}), wanted)
        chosen = [letter for letter in found if reason in (None, letter.reason)]
    else:
        chosen = await _all(stored_letters(settings, DEAD_LETTERS, reason))
    if not chosen:
        raise TesseraError("no dead letter matches; `tessera dlq list` shows those that there are")
    return chosen


async def _all(letters: AsyncIterator[DeadLetter]) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    size = 0
    async for letter in letters:
        found.append(letter)
        size += len(letter.record.value or b"")
        if size > MOST_BYTES:
            raise TesseraError(
                f"these are more than {MOST_BYTES // 1024**2} MiB, the most that is redriven at once: give a --reason, "
                "or name the letters"
            )
    return found


def _check(selections: Sequence[Selection], every: bool) -> None:
    """TesseraError: a letter that was named cannot be redriven, or none of all can."""
    out = [selection for selection in selections if selection.why_not is not None]
    if not out or (every and len(out) < len(selections)):
        return
    rest = f" ({len(out) - 1:,} more are refused)" if len(out) > 1 else ""
    raise TesseraError(f"{out[0].letter.place} is not redriven: {visible(out[0].why_not or '')}{rest}; see --force")


def _announce(selections: Sequence[Selection]) -> None:
    """What is about to happen, on standard error."""
    for selection in selections:
        if selection.why_not is not None:
            click.echo(f"left out: {selection.letter.place}: {visible(selection.why_not)}", err=True)
        elif selection.letter.redrives:
            click.echo(
                f"{selection.letter.place} was redriven before: {selection.letter.redrives} of {MOST_REDRIVES}",
                err=True,
            )
    topics = Counter(_target(selection.letter) for selection in selections if selection.why_not is None)
    for topic, count in topics.items():
        click.echo(f"{count:,} {_records(count)} to {topic}", err=True)


def _report(selections: Sequence[Selection], dry_run: bool, as_json: bool) -> None:
    """What has happened, on standard output."""
    done = "would be redriven" if dry_run else "redriven"
    for selection in selections:
        if as_json:
            click.echo(json.dumps(_as_dict(selection, done)))
    count = sum(selection.why_not is None for selection in selections)
    if not as_json:
        rest = f", {len(selections) - count:,} left out" if count < len(selections) else ""
        click.echo(f"{count:,} {_records(count)} {done}{rest}")


def _as_dict(selection: Selection, done: str) -> dict[str, object]:
    letter, out = selection.letter, selection.why_not is not None
    return {
        "letter": str(letter.place),
        "topic": _target(letter),
        "query_id": letter.query_id,
        "reason": letter.reason,
        "redrives": letter.redrives + (not out),
        "state": "left out" if out else done,
        "why": selection.why_not,
    }


def _target(letter: DeadLetter) -> str:
    return DEAD_LETTERS[letter.record.topic].name


def _records(count: int) -> str:
    return "record" if count == 1 else "records"
