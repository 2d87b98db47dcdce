"""`tessera verify`: the twelve invariants of everything the topics store, checked from outside the workers."""

import asyncio
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click
from click.core import ParameterSource

from workers.audit.log import campaign_faults
from workers.audit.log.invariants import Invariant, Report
from workers.audit.log.plan import read_plan
from workers.audit.log.witness import read_witness
from workers.cli import options, period
from workers.cli.verify_kafka import Evidence, Look, verify_kafka
from workers.cli.verify_view import Work, print_json, print_table
from workers.cli.witness import record
from workers.errors import BrokerError
from workers.receipts.statement import Period
from workers.settings import Settings

HEALED_WITHIN_S = 120.0
MOST_FAULT_BYTES = 16 * 1024 * 1024
CAMPAIGN = ("complete", "expect_aborts", "plan", "witness")

_file = click.File("rb")


@click.command()
@click.option("--complete", is_flag=True, help="Nothing may be under way any more: after a campaign, or a drain.")
@click.option(
    "--grace",
    type=options.Seconds(0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="What is newer when the command begins is under way, not lost. With --complete nothing is.",
)
@click.option("--expect-aborts", is_flag=True, help="Read everything once more, uncommitted: there must be aborts.")
@click.option("--plan", type=_file, metavar="FILE", help="What was produced, and what was to become of it.")
@click.option("--faults", type=_file, metavar="FILE", help="Which faults were planned, and how often each happened.")
@click.option("--witness", type=_file, metavar="FILE", help="What --record-witness wrote meanwhile.")
@click.option("--resources", type=_file, metavar="FILE", help="Samples of the processes' memory and descriptors.")
@click.option(
    "--healed-within",
    type=options.Seconds(0, 3_600),
    metavar="SECONDS",
    help="So long the stages may take to read what is there; then a lag is a finding. [with --complete: 120]",
)
@click.option(
    "--examples", type=click.IntRange(0, 10_000), default=10, show_default=True, metavar="N", help="Of each invariant."
)
@click.option(
    "--record-witness",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Check nothing: write what is committed from now on to FILE until SIGTERM or Ctrl-C, then exit with 0.",
)
@period.begin
@period.end
@options.bootstrap_servers
@options.as_json
def verify(
    complete: bool,
    grace: float,
    expect_aborts: bool,
    plan: BinaryIO | None,
    faults: BinaryIO | None,
    witness: BinaryIO | None,
    resources: BinaryIO | None,
    healed_within: float | None,
    examples: int,
    record_witness: Path | None,
    begin: datetime | None,
    end: datetime | None,
    bootstrap_servers: str | None,
    as_json: bool,
) -> None:
    """Check that every query has one end, nothing is doubled, every bill and draw is right, and nothing got lost.

    All topics of the auction are read from their first committed record to the last, with code of its own: it shares
    the event formats with the workers, the table of ids, and how a dead letter is read. It writes nothing and may run
    beside stages at work. Of Kafka's ACLs it needs those that `tessera principals show auction.verifier` lists. Draws
    are repeated as `tessera audit` does it: with TESSERA_DRAW_KEY, or where the key is revealed.

    \b
    The invariants, by number and identifier; each is held, broken, or not checked:
       1 one_end           each query: a reply with exactly the charges it names, or one dead letter
       2 no_duplicates     no query id has two replies, no charge is there twice; candidates and scored events of an
                           auction that came again are counted: a position upstream went back, nobody pays for it
       3 bills_recomputed  replies and bills are those that the scored event leads to
       4 sums_agree        totals are the sums of their charges; each lies between 0 and its bound
       5 ledger_folded     not checked: no topic holds accounts; `tessera balance` folds them from the bills
       6 draws_recomputed  the winner is that of the draw repeated
       7 same_sequence     outputs in the order of the inputs; with --witness: as a reader saw them live
       8 aborts_seen       with --expect-aborts: aborted records are there, so transactions were interrupted
       9 poison_refused    dead letters hold the refused bytes and name; with --plan: each for its reason
      10 faults_happened   with --faults: each as often as planned
      11 healed            with --complete or --healed-within: nothing unread; with --resources: nothing grows
      12 source_complete   every query record is accounted for; with --plan: all that was produced is stored

    A query is under way while the stage it has come to has not read it, or while it is younger than --grace.
    What retention has deleted is not held against anybody.

    With --from and --to, queries of a period are checked, from the records of it and of an hour around it; what lies
    across that hour's ends is not held against anybody either. Commitments to keys are read whole.

    \b
    Files:
      plan       JSON lines {"value_sha256": HEX, "query_id": ID, "expect": "settled" or a dead letter's reason}
      faults     JSON {NAME: {"planned": N, "happened": M}, ...}
      resources  JSON lines {"t_s": SECONDS, "process": NAME, "rss_mib": X, "fds": N}; 10 or more, over 2 minutes
      witness    JSON lines {"topic": T, "partition": P, "offset": N, "sha256": FIRST 16 DIGITS}

    Memory grows with the log, by about 500 bytes an auction; and with the files, by 16 bytes a line of the witness and
    an entry for each distinct value of the plan. The audit within takes the same whatever the length.

    Exit codes: 0 nothing is broken, 1 something is, 2 Kafka or a file cannot be read.

    \b
    Examples:
      tessera verify
      tessera verify --from 2026-11-23 --to 2026-11-24
      tessera verify --record-witness witness.jsonl
      tessera verify --complete --expect-aborts --plan plan.jsonl --faults faults.json --witness witness.jsonl --json
      tessera verify --json | jq -r 'select(.state == "broken") | .id, .examples[]'
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    if record_witness is not None:
        _refuse_others(click.get_current_context(), {"record_witness", "bootstrap_servers"})
        asyncio.run(record(settings, record_witness))
        return
    if begin or end:
        _refuse_campaign(click.get_current_context())
    began, report = time.time(), Report(most_examples=examples)
    healed_within_s = HEALED_WITHIN_S if complete and healed_within is None else healed_within
    look = Look(began, complete, grace, expect_aborts, healed_within_s, Period(begin, end))
    evidence = Evidence(
        read_plan(plan, plan.name) if plan else None, read_witness(witness, witness.name) if witness else None
    )
    _check_files(report, faults, resources)
    records = asyncio.run(verify_kafka(settings, report, look, evidence))
    if complete and not records:
        raise BrokerError("the topics hold no record: there is nothing that could be complete")
    (print_json if as_json else print_table)(report, Work(records, time.time() - began))
    sys.exit(1 if report.is_broken else 0)


def _refuse_campaign(context: click.Context) -> None:
    """A campaign is judged by all that is stored."""
    given = [one for one in context.command.params if one.name in CAMPAIGN and _is_given(context, one)]
    if given:
        names = ", ".join(sorted(one.opts[0] for one in given))
        raise click.UsageError(f"--from and --to look at a part, and {names} at all that is stored: leave one out")


def _refuse_others(context: click.Context, wanted: set[str]) -> None:
    others = [one for one in context.command.params if one.name not in wanted and _is_given(context, one)]
    if others:
        names = ", ".join(sorted(one.opts[0] for one in others))
        raise click.UsageError(f"--record-witness checks nothing: it goes without {names}")


def _is_given(context: click.Context, parameter: click.Parameter) -> bool:
    return context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE


def _check_files(report: Report, faults: BinaryIO | None, resources: BinaryIO | None) -> None:
    """Faults and resources: files that say all there is to know."""
    if faults:
        campaign_faults.check_faults(report, campaign_faults.read_faults(faults.read(MOST_FAULT_BYTES), faults.name))
    else:
        report.not_checked(Invariant.FAULTS_HAPPENED, "no faults were given (--faults)")
    if resources:
        campaign_faults.check_resources(report, campaign_faults.read_resources(resources, resources.name))
    else:
        report.not_checked(Invariant.HEALED, "no samples of memory and descriptors were given (--resources)")
