"""`python -m tests.chaos.soak`: steady load for half an hour, and whether memory and descriptors of the workers stay.

Connections break, the network is slow and transactions fail all the while, but nobody is killed: what leaks by each
new connection or each new producer adds up.
"""

import json
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

import click

from tests.chaos.campaign import Round
from tests.chaos.ending import end, end_on_sigterm, report_option, write_report
from tests.chaos.plan import Outcome, Plan
from tests.chaos.rounds import kafka_version, machine, revision
from workers.audit.log.leaks import Sample, growth, is_long_enough

GRACE_S = 600.0  # for what is not load
#: What a worker lives through, a minute.
PER_MINUTE = {"reset": 2, "latency": 1, "abort": 4, "end_txn_delayed": 4}
Samples = dict[str, list[Sample]]


@click.command()
@click.option("--minutes", type=click.IntRange(min=3), default=30, show_default=True, help="Of load.")
@click.option("--rate", type=click.IntRange(1, 1_000), default=100, show_default=True, help="Queries a second.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything that is drawn.")
@report_option
def main(minutes: int, rate: int, seed: int, path: Path | None) -> None:
    """Ask steadily, break what workers survive, and judge every process that lives through it.

    Exit code 1: something grows, or an invariant is broken.
    """
    end_on_sigterm()
    faults = {name: count * minutes for name, count in PER_MINUTE.items()}
    limit_s = minutes * 60 + GRACE_S
    plan = Plan(minutes * 60 * rate, seed, faults, replicas=1, rate_hz=rate, limit_s=limit_s)
    with tempfile.TemporaryDirectory() as folder:
        outcome = Round(plan, Path(folder) / "round").run()
        samples = _samples(Path(folder) / "round" / "resources.jsonl")
    command = f"python -m tests.chaos.soak --minutes {minutes} --rate {rate} --seed {seed}"
    text = report(command, outcome, samples)
    click.echo(text)
    if path is not None:
        write_report(path, text)
    end(has_found=bool(outcome.findings) or not any(map(is_long_enough, samples.values())))


def _samples(path: Path) -> Samples:
    found: Samples = defaultdict(list)
    for line in map(json.loads, path.read_text().splitlines()):
        found[line["process"]].append(Sample(line["t_s"], line["rss_mib"], line["fds"]))
    return found


def report(command: str, outcome: Outcome, samples: Samples) -> str:
    """Markdown."""
    judged = {name: found for name, found in sorted(samples.items()) if is_long_enough(found)}
    grows = "nothing grows" if judged else "no process lived long enough to be judged"
    verdict = f"all invariants hold, {grows}" if not outcome.findings else "; ".join(outcome.findings)
    faults = ", ".join(f"{outcome.happened[name]:,} {name}" for name in PER_MINUTE)
    p50, p99 = (outcome.latency_ms[name] or 0.0 for name in ("p50", "p99"))
    ends = ", ".join(f"{name}: {count}" for name, count in sorted(outcome.exits.items())) or "none"
    rows = "\n".join(_row(name.rsplit(" ", 1)[0], found) for name, found in judged.items())
    return f"""# Soak

Written by `{command}`.

**{outcome.auctions:,} records in {outcome.duration_s / 60:.0f} minutes: {verdict}.**

* Kafka {kafka_version()}, one node; revision {revision()} (+: with changes not committed); {machine()}
* one process a stage; null engine, 4 candidates, 2 advertisers
* processes that ended: {ends}; {len(samples) - len(judged)} lived too short a time to be judged
* happened: {faults}; {outcome.happened["poison"]:,} poison records, {outcome.happened["duplicates"]:,} query ids used \
again
* query to reply: p50 {p50:.0f} ms, p99 {p99:.0f} ms; longest stall {outcome.stall_s:.1f} s

| process | lived, min | MiB after a fifth | median | at last | descriptors after a fifth | most | at last | judged |
|---|---|---|---|---|---|---|---|---|
{rows}

A process grows if its robust slope times the duration reaches 10 % of its median and 16 MiB, or 8 descriptors
(`workers/audit/log/leaks.py`). Settlement keeps the ids of its window on disk (decision 0014).
"""


def _row(name: str, found: list[Sample]) -> str:
    settled = found[len(found) // 5 :]
    lived_min = (found[-1].t_s - found[0].t_s) / 60
    memory = f"{settled[0].rss_mib:.0f} | {median(one.rss_mib for one in settled):.0f} | {settled[-1].rss_mib:.0f}"
    descriptors = f"{settled[0].fds:.0f} | {max(one.fds for one in settled):.0f} | {settled[-1].fds:.0f}"
    return f"| {name} | {lived_min:.1f} | {memory} | {descriptors} | {'; '.join(growth(found)) or 'flat'} |"


if __name__ == "__main__":
    main()
