"""`tessera demo`: fifty auctions in one go, in memory or through Kafka."""

import asyncio
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.envelope import from_record
from schemas.lines import dead_letter_line, to_line
from schemas.query import QuerySubmitted
from schemas.record import Outgoing, Record
from schemas.topics import BY_NAME, COMMITMENTS, DEAD_LETTERS, INCENTIVES, QUERIES, SCORED
from workers.app.session import Session, monitor_of, stages_running
from workers.cli import options, render
from workers.cli.query_file import MOST_QUERIES, load_queries
from workers.cli.waiting import TERMINAL
from workers.errors import SettingsError
from workers.pipeline import GROUPS, PATH
from workers.receipts.query_result import TERMINAL_TOPICS, Collector, Terminal, terminals
from workers.settings import DEMO_DRAW_KEY, Settings
from workers.stream.admin.first_offsets import initialise_offsets
from workers.stream.admin.topics import create_topics

MOST_CHARGE_ROWS = 10
LONGEST_SEARCH_S = 10.0
SEARCH_POLL_S = 0.05
IN_MEMORY = "demo-memory-"  # ids that every run gives again
SILENCE_S = 120.0  # the longest wait for the next record, where no auction may take longer


@click.command()
@click.option("--limit", type=click.IntRange(1, MOST_QUERIES), help="Only the first so many queries.")
@click.option(
    "--queries",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Your own queries: a file with one JSON object a line, as on the query topic. [default: 50 bundled ones]",
)
@click.option("--kafka", is_flag=True, help="Through the broker at TESSERA_BOOTSTRAP_SERVERS instead of in memory.")
@options.bootstrap_servers
@options.engine
@click.option(
    "--candidates",
    type=int,
    metavar="M",
    default=10,
    envvar="TESSERA_CANDIDATES",
    show_default=True,
    help="Candidate replies per auction.",
)
@options.proposal
@options.as_json
def demo(limit: int | None, queries: Path | None, kafka: bool, as_json: bool, **given: object) -> None:
    """Run auctions on the bundled model and show replies, sponsors and charges.

    The whole pipeline runs in this process: generation, scoring and settlement, with two fictitious advertisers in
    each query. Without TESSERA_DRAW_KEY draws use a public key, so that anyone can repeat them. With --json the
    commitments to the draws, every scored, settled and charged event and every dead letter are CloudEvents lines,
    ready for `tessera settle -` and `tessera audit -`.

    With --kafka this process joins the stages' consumer groups: workers that run already take their share, and may
    draw with another key. Do not point it at a cluster that serves real queries.

    \b
    Examples:
      tessera demo --limit 5
      tessera demo --json | tessera settle -
      tessera broker start && TESSERA_ALLOW_PLAINTEXT=true tessera demo --kafka
    """
    settings = Settings.read(**given)
    settings = settings.model_copy(update={"draw_key": settings.draw_key or DEMO_DRAW_KEY, "incentive_sample": 1.0})
    asyncio.run(_demo(settings, load_queries(queries, limit), kafka=kafka, as_json=as_json))


async def _demo(settings: Settings, queries: Sequence[QuerySubmitted], *, kafka: bool, as_json: bool) -> None:
    names = list(PATH) if kafka or as_json else [*PATH, "incentives"]
    if kafka:
        await create_topics(settings)
        await initialise_offsets(settings, GROUPS)
    asked = _named(queries, uuid.uuid4().hex[:8] if kafka else "memory")
    monitor = monitor_of(names, settings)
    async with stages_running(names, settings, monitor, kafka=kafka, onlooker=TERMINAL) as session:
        if kafka:
            await session.until_ready()
        silence_s = longest_silence_s(settings)
        if as_json:
            await _print_lines(session, asked, silence_s)
        else:
            await _show(session, asked, silence_s, searched="incentives" in names)


def longest_silence_s(settings: Settings) -> float:
    """An auction may have its whole deadline in each of the two stages that ask the model."""
    return max(SILENCE_S, 2 * settings.deadline_s)


def _named(queries: Sequence[QuerySubmitted], run: str) -> dict[str, QuerySubmitted]:
    """The queries by id; those without one are numbered, on Kafka under a name of this run's own."""
    named = {query.query_id or f"demo-{run}-{number:03}": query for number, query in enumerate(queries, 1)}
    if len(named) < len(queries):
        raise SettingsError("two queries have the same query_id; each query has one terminal record")
    return named


async def _print_lines(session: Session, asked: Mapping[str, QuerySubmitted], silence_s: float) -> None:
    """The commitments to the draws, then every scored, settled and charged event and dead letter as it is published."""
    collector, missing = Collector(asked.keys()), set(asked)
    async with aclosing(session.bus.stored([COMMITMENTS.name])) as records:
        async for record in records:
            click.echo(to_line(from_record(record, COMMITMENTS)))
    async with session.bus.read([SCORED.name, *TERMINAL_TOPICS]) as records:
        await session.bus.publish(_records(asked))
        async for record in session.watch(aiter(records), silence_s):
            if found := _line(record, asked.keys()):
                click.echo(found)
            if record.topic != SCORED.name and (terminal := collector.add(record)):
                missing.discard(terminal.query_id)
            if not missing:
                return


def _line(record: Record, expected: Collection[str]) -> bytes | None:
    """The record as a CloudEvents line; None when it belongs to somebody else's query."""
    if record.topic in DEAD_LETTERS:
        return dead_letter_line(record) if (record.key or b"").decode(errors="replace") in expected else None
    event = from_record(record, BY_NAME[record.topic])
    return to_line(event) if event.correlation_id in expected else None


async def _show(session: Session, asked: Mapping[str, QuerySubmitted], silence_s: float, *, searched: bool) -> None:
    """Replies as they come, a progress bar below them, totals in the end, and whether any lie would have paid."""
    console, began = render.console(), time.perf_counter()
    found: list[Terminal] = []
    columns = (TextColumn("auctions"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with session.bus.read(TERMINAL_TOPICS) as records:
        await session.bus.publish(_records(asked))
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("", total=len(asked))
            async for terminal in session.watch(terminals(aiter(records), asked), silence_s):
                found.append(terminal)
                console.print(render.terminal(asked[terminal.query_id].text, terminal))
                progress.advance(bar)
    charges = [charge.data for terminal in found for charge in terminal.charges]
    console.print(render.charges_table(charges, MOST_CHARGE_ROWS))
    console.print(render.totals(found, time.perf_counter() - began))
    sold = [terminal.query_id for terminal in found if terminal.charges]
    if searched and sold:
        console.print(render.lies(await _measured(session, len(sold))))
    if sold:
        console.print(render.explanation(sold[0] if sold[0].startswith(IN_MEMORY) else None))


async def _measured(session: Session, auctions: int) -> list[Any]:
    """What the search for lies found in so many auctions, or in fewer when it takes too long."""
    measured: list[Any] = []
    deadline_s = time.monotonic() + LONGEST_SEARCH_S
    while len(measured) < auctions and time.monotonic() < deadline_s:
        await asyncio.sleep(SEARCH_POLL_S)
        stored = session.bus.stored([INCENTIVES.name])
        measured = [from_record(record, INCENTIVES).data async for record in stored]
    return measured


def _records(asked: Mapping[str, QuerySubmitted]) -> list[Outgoing]:
    """The queries as any producer would send them: a JSON value under the query's id, no headers."""
    named = ((query_id, query.model_copy(update={"query_id": query_id})) for query_id, query in asked.items())
    return [Outgoing(QUERIES.name, query_id.encode(), query.encode()) for query_id, query in named]
