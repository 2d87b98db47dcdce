"""`tessera ask`: one query through Kafka, and its reply."""

import asyncio
import re
import uuid
from collections.abc import Sequence
from datetime import timedelta

import click

from schemas.lines import dead_letter_line, to_line
from schemas.query import Advertiser, QuerySubmitted
from schemas.record import Outgoing
from schemas.topics import QUERIES
from workers.app.bus import bus_of
from workers.cli import options, render
from workers.errors import TesseraError
from workers.pipeline import now
from workers.receipts.query_result import TERMINAL_TOPICS, Terminal, terminals
from workers.settings import Settings

DEFAULT_VALUE_MICROS = 1_000


@click.command()
@click.argument("text")
@click.option("--advertiser", "advertisers", multiple=True, metavar="'NAME: DESCRIPTION'", help="Who bids; repeat it.")
@click.option(
    "--value",
    "values",
    type=click.IntRange(0, 10**12),
    multiple=True,
    metavar="MICROS",
    help="What a nat is worth to the advertiser at the same place, micros. [default: 1000]",
)
@click.option(
    "--registered", "ids", multiple=True, metavar="ID", help="A registered advertiser who may bid; repeat it."
)
@click.option(
    "--timeout", "timeout_s", type=options.Seconds(0.1, 3_600), default=60.0, show_default=True, metavar="SECONDS"
)
@options.bootstrap_servers
@options.as_json
def ask(
    text: str,
    advertisers: Sequence[str],
    values: Sequence[int],
    ids: Sequence[str],
    timeout_s: float,
    bootstrap_servers: str | None,
    as_json: bool,
) -> None:
    """Put a query on the topic, wait for its terminal record, show reply, disclosure and charges.

    The stages must be running (`tessera run generation scoring settlement`). Exit code 1: the query was refused.

    \b
    Example:
      tessera ask 'How do I bake cookies?' --advertiser 'OvenNest: selling baking ingredients' --value 1500
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    query = _query(text, advertisers, values, ids, timeout_s)
    terminal = asyncio.run(_ask(settings, query, timeout_s))
    if as_json:
        _print_lines(terminal)
    else:
        render.console().print(render.terminal(text, terminal))
        if terminal.charges:
            render.console().print(f"worked out: tessera explain {terminal.query_id}", style="dim")
    if terminal.dead_letter is not None:
        raise SystemExit(1)


def _query(
    text: str, advertisers: Sequence[str], values: Sequence[int], ids: Sequence[str], timeout_s: float
) -> QuerySubmitted:
    if len(values) > len(advertisers):
        raise click.UsageError(f"{len(values)} --value for {len(advertisers)} --advertiser")
    worth = [*values, *[DEFAULT_VALUE_MICROS] * (len(advertisers) - len(values))]
    bidders = [_advertiser(given, value) for given, value in zip(advertisers, worth, strict=True)]
    draft = QuerySubmitted.model_construct(
        query_id=f"ask-{uuid.uuid4().hex}",
        text=text,
        advertisers=tuple(bidders),
        advertiser_ids=tuple(ids) or None,
        advertising_consent=True,  # who names advertisers asks for adverts
        deadline=now() + timedelta(seconds=timeout_s),
    )
    return QuerySubmitted.decode(draft.encode())  # the same checks as for anybody's query, before it is sent


def _advertiser(given: str, value_micros: int) -> Advertiser:
    name, colon, description = (part.strip() for part in given.partition(":"))
    advertiser_id = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    if not (colon and description and advertiser_id):
        raise click.UsageError(f"--advertiser {given!r}: expected 'Name: what it sells'")
    return Advertiser.model_construct(
        advertiser_id=advertiser_id, name=name, description=description, value_micros_per_nat=value_micros
    )


async def _ask(settings: Settings, query: QuerySubmitted, timeout_s: float) -> Terminal:
    query_id = str(query.query_id)
    bus = bus_of(settings)
    try:
        async with asyncio.timeout(timeout_s), bus.read(TERMINAL_TOPICS) as records:
            await bus.publish([Outgoing(QUERIES.name, query_id.encode(), query.encode())])
            return await anext(terminals(aiter(records), {query_id}))
    except TimeoutError:
        raise TesseraError(
            f"query {query_id} has no terminal record after {timeout_s:g} s; do the stages run? `tessera run "
            "generation scoring settlement` starts them, `tessera topics describe` shows who is behind. Its deadline "
            "has passed: stages that come to it now refuse it as EXPIRED, or reply without adverts, and nobody pays. "
            "So ask again"
        ) from None


def _print_lines(terminal: Terminal) -> None:
    if terminal.dead_letter is not None:
        click.echo(dead_letter_line(terminal.dead_letter))
    if terminal.settled is not None:
        for event in (terminal.settled, *terminal.charges):
            click.echo(to_line(event))
