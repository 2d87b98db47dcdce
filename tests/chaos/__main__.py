"""`python -m tests.chaos`: a long campaign, interrupted and continued at will, and its report."""

from pathlib import Path
from typing import Any

import click

from tests.chaos.ending import end, end_on_sigterm, report_option, write_report
from tests.chaos.report import findings_of, report
from tests.chaos.rounds import Campaign, run
from tests.chaos.schedule import EVERYTHING, PROFILES
from tests.chaos.walls import WALLS


@click.command()
@click.option("--auctions", type=click.IntRange(min=1), default=200_000, show_default=True, help="Records in all.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything that is drawn.")
@click.option("--per-round", type=click.IntRange(min=100), default=10_000, show_default=True, help="Records a round.")
@click.option("--dynamic", is_flag=True, help="Workers without a name: no static membership.")
@click.option(
    "--profile", type=click.Choice(list(PROFILES)), default=EVERYTHING, show_default=True, help="What breaks."
)
@click.option("--nodes", type=click.Choice(["1", "3"]), default="1", show_default=True, help="Brokers.")
@click.option("--without", type=click.Choice(list(WALLS)), multiple=True, help="What workers do without.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where it goes on.")
@report_option
def main(folder: Path, path: Path | None, nodes: str, dynamic: bool, without: tuple[str, ...], **given: Any) -> None:
    """Break everything on purpose for as long as it takes, and check that every auction is settled exactly once.

    Every round is one line of FOLDER/rounds.jsonl. The next call goes on after the last complete round. Exit code 1: a
    round has found something; its folder, with logs and the broker's data, is kept.
    """
    end_on_sigterm()
    given = {**given, "nodes": int(nodes)}
    campaign = Campaign(is_static=not dynamic, without=",".join(without), folder=folder, **given)
    for line in run(campaign, lambda text: click.echo(text, err=True)):
        click.echo(f"  {line['took_s']:.0f} s, {len(line['findings'])} findings", err=True)
    rounds = campaign.done()
    if path is not None:
        words = [f"--{name.replace('_', '-')} {value}" for name, value in given.items()]
        words += ["--dynamic"] * dynamic + [f"--without {name}" for name in without]
        command = f"python -m tests.chaos {' '.join(words)} --folder DIR --report {path.name}"
        write_report(path, report(rounds, command))
    end(has_found=bool(findings_of(rounds)))


if __name__ == "__main__":
    main()
