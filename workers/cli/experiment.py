"""`tessera experiment`: the paper's claims measured again, as tables for people, machines and documents."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable
from rich.text import Text

from workers.cli import options, render
from workers.cli.documents import require_writable, write_whole
from workers.cli.experiment_paper import report, run
from workers.cli.log_plot import log_plot
from workers.experiments.catalogue import EXPERIMENTS
from workers.experiments.figure import Cell, Figure, Table

DEFAULT_SEED = 1
ROUNDING = 1e-12  # smaller than this is rounding, and printed as 0
PIPED_WIDTH = 160  # columns of a table that no terminal shows: nothing is cut


@click.group(cls=options.Group)
def experiment() -> None:
    """Measure the paper's claims again: tables that anyone can make anew.

    The same seed gives the same tables, to rounding. `convergence` and `decoding` need nothing but this program;
    `run` and `report` are the paper's own evaluation, on any language model that TESSERA_ENGINE can name.

    \b
    Examples:
      tessera experiment decoding
      tessera experiment convergence --seed 7
      tessera experiment convergence --json | jq 'select(.candidates == 100)'
      tessera experiment decoding --markdown decoding.md
    """


def _command(name: str) -> Callable[..., None]:
    def command(seed: int, as_json: bool, markdown: Path | None) -> None:
        if markdown is not None:
            require_writable(markdown)
        figure = _run(name, seed)
        if markdown is not None:
            _write_document(markdown, figure, f"tessera experiment {name} --seed {seed} --markdown {markdown}")
        if as_json:
            for line in _lines(figure, name, seed):
                click.echo(line)
        elif markdown is None:
            render.console(piped_width=PIPED_WIDTH).print(_pages(figure))
        else:
            click.echo(f"written: {markdown}")

    return command


def _register(name: str) -> None:
    summary = EXPERIMENTS[name].summary
    text = f"{summary}\n\n\b\nExamples:\n  tessera experiment {name}\n  tessera experiment {name} --json"
    seed = click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=DEFAULT_SEED,
        show_default=True,
        help="Fixes the models and all that is drawn; another seed is another market.",
    )
    markdown = click.option(
        "--markdown",
        type=click.Path(dir_okay=False, writable=True, path_type=Path),
        metavar="FILE",
        help="Write the tables, and the command that made them, into FILE; a plot goes beside it, as .svg.",
    )
    experiment.command(name, help=text, short_help=summary)(seed(options.as_json(markdown(_command(name)))))


for _name in EXPERIMENTS:
    _register(_name)
experiment.add_command(run)
experiment.add_command(report)


def _run(name: str, seed: int) -> Figure:
    chosen = EXPERIMENTS[name]
    columns = (TextColumn(name), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = render.console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=chosen.steps)
        return chosen.run(seed, lambda: progress.advance(bar))


def _lines(figure: Figure, name: str, seed: int) -> Iterator[str]:
    """One object for each row of each table, at full precision."""
    for table in figure.tables:
        for row in table.rows:
            cells = dict(zip(table.columns, row, strict=True))
            yield json.dumps({"experiment": name, "seed": seed, "table": table.caption, **cells}, ensure_ascii=False)


def _pages(figure: Figure) -> RenderableType:
    paragraphs = [Padding(Text(text.replace("**", "")), (0, 0, 1, 0)) for text in figure.paragraphs]
    findings = [Text(f"• {text}") for text in figure.findings]
    return Group(Text(figure.title + "\n", style="bold"), *paragraphs, *map(_grid, figure.tables), *findings)


def _grid(table: Table) -> RichTable:
    grid = RichTable(title=table.caption, title_justify="left", title_style="bold cyan", box=box.SIMPLE_HEAD)
    for place, heading in enumerate(table.columns.values()):
        grid.add_column(heading, justify="left" if isinstance(table.rows[0][place], str) else "right")
    for row in table.rows:
        grid.add_row(*map(_shown, row))
    return grid


def _write_document(path: Path, figure: Figure, command: str) -> None:
    """The figure as Markdown in `path`, and its plot beside it."""
    parts = [f"# {figure.title}", f"Made by `{command}`."]
    if figure.plot is not None:
        picture = path.with_suffix(".svg")
        write_whole(picture, log_plot(figure.plot))
        parts.append(f"![{figure.plot.title}]({picture.name})")
    write_whole(path, "\n\n".join([*parts, *_sections(figure)]) + "\n")


def _sections(figure: Figure) -> Iterator[str]:
    yield from figure.paragraphs
    for table in figure.tables:
        aligned = ("---" if isinstance(cell, str) else "---:" for cell in table.rows[0])
        rows = [tuple(table.columns.values()), tuple(aligned), *(tuple(map(_shown, row)) for row in table.rows)]
        yield f"## {table.caption}"
        yield "\n".join(f"| {' | '.join(row)} |" for row in rows)
    yield "## What came out"
    yield "\n".join(f"* {text}" for text in figure.findings)


def _shown(cell: Cell) -> str:
    if isinstance(cell, float):
        return "0" if abs(cell) < ROUNDING else f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else cell
