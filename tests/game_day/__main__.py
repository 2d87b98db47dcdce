"""`python -m tests.game_day`: real outages on a real pipeline, and which alert says so after how long."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from tests.chaos.ending import end, end_on_sigterm, report_option, write_report
from tests.game_day.alertmanager import running_alertmanager
from tests.game_day.hurried import write_hurried
from tests.game_day.outages import OUTAGES, Outage
from tests.game_day.pipeline import running_pipeline
from tests.game_day.rehearsal import Rehearsal, Rehearsing
from tests.game_day.report import report
from tests.support.prometheus_server import running_prometheus

RULES = Path(__file__).parents[2] / "infra" / "prometheus" / "rules.yml"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(OUTAGES)))
@click.option("--times", type=click.FloatRange(1, 120), default=10, show_default=True, help="Faster than the rules.")
@click.option("--patience", "patience_s", type=click.FloatRange(1), default=240, show_default=True, help="Seconds.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Of logs; empty.")
@click.option(
    "--disk",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A small file system for the broker's data; without it no disk is filled. mount -t tmpfs -o size=400m ...",
)
@report_option
def main(
    names: tuple[str, ...], times: float, patience_s: float, folder: Path, disk: Path | None, path: Path | None
) -> None:
    """Break a pipeline in each of these ways, all by default, and see which alert fires after how long.

    Exit code 1: an alert that was expected did not fire.
    """
    end_on_sigterm()
    outages = [one for name, one in OUTAGES.items() if (not names or name in names) and (disk or not one.needs_disk)]
    folder.mkdir(parents=True, exist_ok=True)
    rehearsals = []
    with ExitStack() as stack:
        alertmanager = stack.enter_context(running_alertmanager(folder))
        pipeline = stack.enter_context(running_pipeline(folder, (disk or folder) / "kafka"))
        prometheus = stack.enter_context(
            running_prometheus(
                pipeline.targets,
                folder,
                rule_files=[write_hurried(RULES, folder, times)],
                alertmanagers=[alertmanager.address] if alertmanager.address else [],
            )
        )
        watcher = Rehearsing(pipeline, prometheus, alertmanager, patience_s)
        for one in _held(watcher, outages):
            rehearsals.append(one)
            click.echo(f"{one.outage.what}: {dict(one.fired_s)}, silent after {one.silent_s}", err=True)
    if path is not None:
        words = [
            *names,
            f"--times {times:g}",
            "--folder DIR",
            *(["--disk DISK"] if disk else []),
            f"--report {path.name}",
        ]
        command = f"python -m tests.game_day {' '.join(words)}"
        write_report(
            path,
            report(rehearsals, times=times, command=command, has_alertmanager=bool(alertmanager.address)),
        )
    end(has_found=any(one.missing for one in rehearsals))


def _held(watcher: Rehearsing, outages: Sequence[Outage]) -> Iterator[Rehearsal]:
    for outage in outages:
        watcher.until_healthy(outage)
        yield watcher.hold(outage)


if __name__ == "__main__":
    main()
