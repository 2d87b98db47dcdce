"""`tessera experiment run` and `report`: the paper's evaluation on a language model, sampled once and kept."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click
from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from workers.app.models import open_reference
from workers.cli import options, render
from workers.errors import MissingProgram
from workers.experiments.paper.campaign import auctions_of, sample_evaluation
from workers.experiments.paper.catalogue import FIGURES
from workers.experiments.paper.claims import ClaimVerdict, Evaluation, FigureOf
from workers.experiments.paper.crowds import crowd_seeds
from workers.experiments.paper.instances import read_instances
from workers.experiments.paper.report import chapters, write_report
from workers.experiments.paper.sampling import MOST_CANDIDATES
from workers.experiments.paper.statistics import RESAMPLES, RESAMPLING_SEED
from workers.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])
MOST_SEEDS = 1_000
MOST_TOKENS = 512
PIPED_WIDTH = 160  # columns of a table that no terminal shows

SAMPLING = (
    options.engine,
    click.option(
        "--seeds",
        type=click.IntRange(1, MOST_SEEDS),
        default=25,
        show_default=True,
        help="Auctions of each query and proposal; the paper has 25.",
    ),
    click.option(
        "--instances",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Queries as on the query topic, one JSON object a line; those with two advertisers are taken. "
        "[default: 50 bundled ones]",
    ),
    click.option("--limit", type=click.IntRange(1), metavar="Q", help="Only the first Q queries."),
    click.option(
        "--max-tokens", type=click.IntRange(1, MOST_TOKENS), default=64, show_default=True, help="The longest reply."
    ),
    click.option(
        "--samples",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("paper-samples"),
        show_default=True,
        metavar="FOLDER",
        help="Where samples are kept. What is there is not sampled again, whatever else changes.",
    ),
)


def _sampling(command: Command) -> Command:
    for option in reversed(SAMPLING):
        command = option(command)
    return command


@click.command("run")
@_sampling
@click.option("--figure", "names", type=click.Choice(list(FIGURES)), multiple=True, help="Only this one; repeatable.")
@options.as_json
def run(names: Sequence[str], as_json: bool, engine: str | None, **sampling: Any) -> None:
    """Sample the paper's evaluation on a model and judge its claims.

    Fifty queries, two advertisers each, twenty candidates from either proposal, and every claim of the paper's section
    6 with its interval; then what goes beyond it. Samples are kept: after Ctrl-C the same command goes on where it
    stopped. With --json each row of each figure is an object.

    \b
    Examples:
      tessera experiment run
      tessera experiment run --limit 5 --seeds 2
      tessera experiment run --figure 3 --json | jq .
      tessera experiment run --engine embedded:./smollm2 --seeds 5
    """
    figures = [FIGURES[name] for name in names or FIGURES]
    evaluation, _ = asyncio.run(_sample(Settings.read(engine=engine), **sampling))
    if as_json:
        for line in _lines(figures, evaluation):
            click.echo(line)
    else:
        judged = {figure.name: figure.judge(figure.run(evaluation)) for figure in figures}
        render.console(piped_width=PIPED_WIDTH).print(_verdicts(judged))


@click.command("report")
@_sampling
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("paper-report"),
    show_default=True,
    metavar="FOLDER",
    help="Where the page goes, with a CSV and an SVG file for each figure.",
)
def report(out: Path, engine: str | None, **sampling: Any) -> None:
    """Write the paper's evaluation as one page with its figures, verdicts and numbers.

    Samples first what is not there yet, as `tessera experiment run` with the same options does. The same samples give
    the same bytes. Needs matplotlib: pip install 'tessera-auction[report]'.

    \b
    Examples:
      tessera experiment report
      tessera experiment report --engine embedded:./smollm2 --seeds 5 --out smollm2-report
    """
    _require_matplotlib()
    evaluation, configuration = asyncio.run(_sample(Settings.read(engine=engine), **sampling))
    click.echo(f"written: {write_report(out, list(chapters(evaluation)), configuration)}")


def _require_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        raise MissingProgram(
            "matplotlib is not installed, which draws the report's figures: pip install 'tessera-auction[report]'. "
            "`tessera experiment run` judges the claims without it"
        )


async def _sample(
    settings: Settings, *, seeds: int, instances: Path | None, limit: int | None, max_tokens: int, samples: Path
) -> tuple[Evaluation, dict[str, str]]:
    """The auctions, and what they were sampled with, in words."""
    found = read_instances(instances, limit)
    asked = found.taken
    model = await open_reference(settings)
    columns = (TextColumn("auctions"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    console = render.console(stderr=True)
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("", total=auctions_of(asked, seeds))
            evaluation = await sample_evaluation(
                model, asked, samples, seeds=seeds, max_tokens=max_tokens, advance=lambda: progress.advance(bar)
            )
    finally:
        await model.close()
    named = model.identity
    return evaluation, {
        "model": f"{named.name} {named.version}",
        "model SHA-256": named.model_sha256,
        "queries": f"{len(asked)}, from {instances.name if instances else 'the bundled instances'}; "
        f"{found.passed_over} passed over, without two advertisers",
        "seeds of each query": f"{seeds}; {crowd_seeds(seeds)} with other advertisers or descriptions",
        "candidates": f"{MOST_CANDIDATES}, and the first M of them",
        "longest reply": f"{max_tokens} tokens",
        "decoding": "temperature 1, nothing truncated (the paper: temperature 0.8, top-p 0.95)",
        "intervals": f"{RESAMPLES:,} resamples of the queries, seed {RESAMPLING_SEED}",
    }


def _lines(figures: Sequence[FigureOf], evaluation: Evaluation) -> Iterator[str]:
    for figure in figures:
        for row in figure.run(evaluation):
            named = {"figure": figure.name, "series": row.series, "candidates": row.candidates, "x": row.place}
            yield json.dumps({**named, **asdict(row.measured)}, ensure_ascii=False)


def _verdicts(judged: dict[str, tuple[ClaimVerdict, ...]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("claim", "figure", "what it says", "holds", "measured, 95 % interval over queries"):
        table.add_column(heading)
    for figure, verdicts in judged.items():
        for one in verdicts:
            holds = Text("yes", "green") if one.holds else Text("no", "red")
            table.add_row(one.claim, figure, one.says, holds, Text(one.measured))
    return table
