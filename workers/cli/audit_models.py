"""`tessera audit --resample` and `--rescore`: a sample of the log's auctions asked of the auditor's model again."""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from schemas.auction import CandidatesScored
from workers.audit.findings import Check, Tally
from workers.cli import options, render
from workers.errors import TesseraError
from workers.model_audit.asked import AuditModels, ModelTally
from workers.model_audit.resample import Resampling
from workers.model_audit.rescore import TOLERANCE_NATS, Rescoring
from workers.model_audit.sample import RULE, AuctionSample
from workers.receipts.words import counted
from workers.settings import Settings

MOST_AUCTIONS = 10_000
Checking = Callable[[CandidatesScored], Awaitable[None]]

_OPTIONS = (
    click.option(
        "--resample",
        type=click.IntRange(1, MOST_AUCTIONS),
        metavar="N",
        help="Draw the candidates of N auctions again, from their seeds: they must be equal.",
    ),
    click.option(
        "--rescore",
        type=click.IntRange(1, MOST_AUCTIONS),
        metavar="N",
        help="Compute log q, log π_ref and rewards of N auctions again: they must agree within --tolerance.",
    ),
    click.option(
        "--tolerance",
        type=click.FloatRange(1e-6, 100),
        default=TOLERANCE_NATS,
        show_default=True,
        metavar="NATS",
        help="What --rescore lets a number be off by; a reward by so many times the advertiser's value per nat.",
    ),
    click.option(
        "--sample-seed",
        metavar="TEXT",
        help="Names the sample, so that it can be repeated. [default: one that nobody could foresee, and printed]",
    ),
    options.engine,
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that asks a model again."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass
class ModelAudit:
    """What is asked for, and what came of it. Without any numbers nothing is sampled and no model is opened."""

    resample: int | None = None
    rescore: int | None = None
    tolerance: float = TOLERANCE_NATS
    sample_seed: str | None = None
    sample: AuctionSample = field(init=False)
    counted: ModelTally | None = None
    duration_s: dict[Check, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = self.sample_seed if self.sample_seed is not None else secrets.token_hex(8)
        self.sample = AuctionSample(max(self.resample or 0, self.rescore or 0), name)

    def offer(self, scored: CandidatesScored, digest: str) -> None:
        """A scored event of the log."""
        if self.sample.count:
            self.sample.offer(scored, digest)

    async def run(self, settings: Settings, tally: Tally) -> None:
        """Ask the models; findings go to `tally`. TesseraError: they cannot judge a single auction of the sample."""
        chosen = self.sample.chosen()
        if not chosen:
            return
        from workers.app.models import open_models  # here: an audit without a model loads none

        counted = self.counted = ModelTally(tally)
        async with open_models(settings, proposal=True, rewards=False) as models:
            opened = AuditModels(models.reference, models.context_aware, models.prompts)
            with _progress() as progress:
                if self.resample:
                    await self._all(
                        progress, Check.RESAMPLED, Resampling(counted, opened).check, chosen[: self.resample]
                    )
                if self.rescore:
                    check = Rescoring(counted, opened, self.tolerance).check
                    await self._all(progress, Check.RESCORED, check, chosen[: self.rescore])

    async def _all(
        self, progress: Progress, what: Check, check: Checking, auctions: Sequence[CandidatesScored]
    ) -> None:
        began = time.perf_counter()
        for scored in progress.track(
            auctions, description="drawn again" if what is Check.RESAMPLED else "scored again"
        ):
            await check(scored)
        self.duration_s[what] = time.perf_counter() - began
        if self.counted is not None and not self.counted.tally.checked[what]:
            reasons = self.counted.reasons.get(what, {})
            why = max(reasons, key=lambda one: reasons[one])
            raise TesseraError(f"none of the {len(auctions)} auctions of the sample can be checked: {why}")

    def totals(self) -> dict[str, Any]:
        """For machines; nothing where no model was asked."""
        if self.counted is None:
            return {}
        return {
            "sample": {
                "seed": self.sample.name,
                "rule": RULE,
                "auctions": len(self.sample.chosen()),
                "tolerance_nats": self.tolerance,
                "duration_s": {what.name.lower(): round(seconds, 3) for what, seconds in self.duration_s.items()},
                "not_verifiable": {what.name.lower(): reasons for what, reasons in self.counted.reasons.items()},
                "remarks": self.counted.remarks,
            }
        }

    def show(self) -> None:
        """For people: which sample it was, how long it took, and what could not be said."""
        if self.counted is None:
            return
        console, name = render.console(), self.sample.name
        console.print(Text(f"sample: {RULE}; again with --sample-seed {name}", style="dim"))
        for what, seconds in self.duration_s.items():
            done = self.counted.tally.checked[what]
            said = f"{what.value}: {counted(done, 'auction')} in {seconds:.1f} s, {seconds / done:.2f} s each"
            console.print(Text(said, style="dim"))
        reasons = [pair for counts in self.counted.reasons.values() for pair in counts.items()]
        for why, count in (*reasons, *self.counted.remarks.items()):
            console.print(Text(f"{count:,} times: {why}", style="dim"))


def _progress() -> Progress:
    """A bar on standard error, gone when the work is done."""
    console = render.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = TimeElapsedColumn(), TimeRemainingColumn()
    return Progress(*columns, *times, console=console, transient=True, disable=not console.is_terminal)
