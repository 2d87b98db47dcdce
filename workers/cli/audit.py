"""`tessera audit`: every reply and every bill recomputed from the log, by code that shares nothing with settlement."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from workers.audit.auditor import Audit
from workers.audit.completeness import Completeness
from workers.audit.findings import Finding
from workers.cli import options, period
from workers.cli.audit_models import ModelAudit, model_options
from workers.cli.audit_period import AuditPeriod, audit_period, state_option
from workers.cli.audit_shares import MOST_PROCESSES, Share, ShareTally, in_processes, merged
from workers.cli.audit_view import Findings, print_json, print_verdict
from workers.cli.audited_log import AuditedLog, read_file, read_kafka
from workers.receipts.statement import Period
from workers.settings import DEMO_DRAW_KEY, Settings

SHOWN = 20


@click.command()
@click.argument("file", type=click.File("rb"), metavar="[FILE|-]", required=False)
@click.option(
    "--grace",
    type=options.Seconds(0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="On Kafka: what is incomplete and younger than this when the audit begins is in flight, not wrong.",
)
@click.option(
    "--limit-findings",
    type=click.IntRange(min=0),
    metavar="N",
    help="Print only the first N discrepancies; all are counted. [default: 20, with --json all]",
)
@click.option(
    "--queries",
    is_flag=True,
    help="On Kafka: read the queries and candidates too, and compare every auction with them.",
)
@period.begin
@period.end
@state_option
@click.option(
    "--processes",
    type=click.IntRange(1, MOST_PROCESSES),
    default=1,
    show_default=True,
    metavar="N",
    help="On Kafka: audit in so many processes, each of which reads the topics and audits its share of the queries.",
)
@model_options
@options.bootstrap_servers
@options.as_json
def audit(
    file: BinaryIO | None,
    grace: float,
    limit_findings: int | None,
    queries: bool,
    begin: datetime | None,
    end: datetime | None,
    state_file: Path | None,
    processes: int,
    bootstrap_servers: str | None,
    engine: str | None,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Recompute every auction in a log: allocation, draw, charges, bills, and the promises of the mechanism.

    Without FILE the scored, settled, billing, credit and commitment topics are read, and the dead letters of the scored
    one: an auction may end there because another one had its query id. Credits are read first and held in memory; from
    a pipe, which is read once, one that comes behind its bill is "not verifiable". FILE (or - for standard input) holds
    CloudEvents lines as `tessera demo --json` prints them, in the order of their publication; other types of event
    are passed over. The arithmetic is float64 with a proven error bound, and 50-digit decimals wherever the bound
    leaves a doubt; no line of it is shared with the code that settles.

    A draw is repeated where its key is known: revealed in the log, or derived from TESSERA_DRAW_KEY,
    TESSERA_DRAW_KEY_PREVIOUS or the public key of `tessera demo`, whichever has the SHA-256 that was committed to.
    Draws under other keys are "not verifiable" until `tessera keys reveal`. Likewise the seeds of the candidates:
    revealed, or derived from TESSERA_SAMPLING_KEY or those. Seeds of a day whose key nobody committed to before its
    first auction are "not verifiable" either (`tessera keys commit`).

    Where the log has queries and generated events, each auction that is scored after them is compared with its own,
    field by field. On Kafka --queries reads them, as long as they are kept (7 and 3 days); a file has them from
    `tessera export --queries`. Auctions whose own are gone are "not verifiable".

    --resample and --rescore ask a model again, of a sample of the auctions that have candidates: the choice is random,
    is printed, and repeats with --sample-seed. --resample needs the very model and release that the events name
    (--engine, TESSERA_PROPOSAL_ENGINE): another one draws other replies from the same seeds, and is refused. On another
    kind of processor the last digits of a probability differ, and so, rarely, a token. --rescore takes the same weights
    in any engine; numbers of half precision need a larger --tolerance.

    --from and --to choose auctions by the moment in which the broker took their last record; Kafka is read from an
    hour before to an hour behind. --state reads what is new since the last run with the same file; an auction that had
    no reply then is waited for, a day. Such parts add up to the whole, but for what lies further apart: a credit of an
    older bill and a draw whose key is revealed later are "not verifiable", and an old query id that is used once more
    is found by an audit of everything only.

    \b
    Exit codes: 0 everything is right, 1 a discrepancy, 2 the log cannot be read (nothing is printed then). Kinds:
      terminals     missing_terminal second_terminal unknown_auction second_scored reused_query
                    duplicate_of_nothing unreadable_record
      lineage       other_question no_consent unknown_bidder other_bid other_consent other_query
                    blocked_category other_candidates
      digests       other_scored_event other_settled_event wrong_key
      replies       wrong_outcome wrong_reply wrong_field wrong_abstentions
      allocation    wrong_probabilities wrong_weights wrong_sample_size
      draws         wrong_u wrong_choice wrong_epoch
      commitments   broken_commitment no_commitment late_commitment second_commitment false_reveal
                    draw_after_reveal uncommitted_draw
      seeds         wrong_seeds wrong_seed_day broken_seed_commitment many_seed_keys
      bills         missing_charge double_charge extra_charge wrong_debtor wrong_charge_ids
      charges       wrong_charge wrong_total
      terms         wrong_tau wrong_currency wrong_rule wrong_bound wrong_bill_field unannounced_terms
      disclosure    wrong_sponsors wrong_odds wrong_disclosure
      properties    above_bound reward_out_of_range worse_off indifferent_charged
      resampled     other_candidate other_prompt
      rescored      wrong_log_q wrong_log_ref wrong_reward
      credits       unknown_charge double_credit wrong_credit_id wrong_credit_field above_charge

    \b
    Examples:
      tessera audit
      tessera audit --from 2026-11-01 --to 2026-12-01
      tessera audit --state audited.json
      tessera demo --json | tessera audit -
      tessera export > log.jsonl && tessera audit log.jsonl --resample 20 --rescore 20
      tessera audit log.jsonl --json | jq -r 'select(.kind == "wrong_charge") | .sentence'
    """
    settings, models = Settings.read(bootstrap_servers=bootstrap_servers, engine=engine), ModelAudit(**wanted)
    limit = limit_findings if limit_findings is not None else None if as_json else SHOWN
    began = time.time()
    if file and (begin or end or state_file or processes > 1):
        raise click.UsageError("--from, --to, --state and --processes are for Kafka: a file is audited whole")
    if processes > 1 and (wanted["resample"] or wanted["rescore"]):
        raise click.UsageError("--resample and --rescore ask one model: they go without --processes")
    if queries and (begin or end or state_file or processes > 1):
        raise click.UsageError("--queries looks at all: it goes without --from, --to, --state and --processes")
    asked = audit_period(began, grace, Period(begin, end), state_file)
    with closing(Findings(limit)) as findings:
        with closing(
            _audit_of(
                settings,
                findings.keep,
                None if file else asked.completeness(),
                credits_first=file is None or file.seekable(),
            )
        ) as audit:
            log = AuditedLog(audit, models)
            if file:
                read_file(log, file)
            elif processes == 1:
                asyncio.run(read_kafka(log, settings, asked, Share(), with_sources=queries))
            waiting_since = audit.scored_since
            tally = audit.finish()
        if processes > 1:
            tally, waiting_since = merged(in_processes(KafkaShare(settings, asked), processes), findings.keep)
        asyncio.run(models.run(settings, tally))
        if as_json:
            print_json(tally, findings, time.time() - began, models.totals())
        else:
            print_verdict(tally, findings, time.time() - began)
            models.show()
    asked.keep(waiting_since, tally)
    sys.exit(1 if tally.discrepancies else 0)


@dataclass(frozen=True, slots=True)
class KafkaShare:
    """An audit of one share of the topics' auctions, in a process of its own."""

    settings: Settings
    asked: AuditPeriod

    def __call__(self, share: Share) -> ShareTally:
        """Read the topics and audit what is of the share."""
        found: list[Finding] = []
        with closing(_audit_of(self.settings, found.append, self.asked.completeness(), credits_first=True)) as audit:
            asyncio.run(read_kafka(AuditedLog(audit, ModelAudit()), self.settings, self.asked, share))
            waiting_since, tally = audit.scored_since, audit.finish()
        sums = tally.checked, tally.unverifiable, tally.notes, tally.terms, tally.kinds
        return ShareTally(*sums, found, waiting_since)


def _audit_of(
    settings: Settings, keep: Callable[[Finding], None], completeness: Completeness | None, *, credits_first: bool
) -> Audit:
    secrets, seed_secrets = secrets_of(settings), _seed_secrets_of(settings)
    return Audit(keep, secrets, completeness, credits_first=credits_first, seed_secrets=seed_secrets)


def secrets_of(settings: Settings) -> list[bytes]:
    """Every secret that draws may have been made with."""
    given = (settings.draw_key, settings.draw_key_previous, DEMO_DRAW_KEY)
    return [secret.get_secret_value().encode() for secret in given if secret is not None]


def _seed_secrets_of(settings: Settings) -> list[bytes]:
    """The secret of the seeds, where it is set; those that derive from the draw's the audit knows."""
    return [settings.sampling_key.get_secret_value().encode()] if settings.sampling_key else []
