"""How a terminal record looks to a person: the reply with its sponsors marked, the disclosure, the charges."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.billing import AdvertiserCharged
from schemas.incentive import IncentiveMeasured
from schemas.letter import DeadLetter
from schemas.reasons import VoidReason
from schemas.record import Record
from schemas.reply import ReplySettled
from workers.cli.console import Console
from workers.cli.visible import Visible, visible
from workers.ledger.amounts import money
from workers.receipts import words
from workers.receipts.query_result import Terminal
from workers.receipts.words import counted

NAME = "tessera"
BRAND = "bold black on yellow"
LABEL = "bold yellow"


def terminal(question: str, found: Terminal) -> RenderableType:
    """One query, its id for `tessera explain`, and how it ended."""
    head = Text.assemble((question, "bold cyan"), (f"  {found.query_id}", "dim"))
    if found.dead_letter is not None:
        return Group(head, Padding(_refusal(found.dead_letter), (0, 0, 1, 2)))
    if found.settled is None:
        raise ValueError("a terminal has a settled reply or a dead letter")
    charges = [charge.data for charge in found.charges]
    body = Group(_reply(found.settled.data), _disclosure(found.settled.data, charges))
    return Group(head, Padding(body, (0, 0, 1, 2)))


def _reply(settled: ReplySettled) -> Text:
    text = Text(settled.reply or "(an empty reply)")
    text.highlight_words([sponsor.name for sponsor in settled.sponsors], BRAND)
    return text


def _disclosure(settled: ReplySettled, charges: Sequence[AdvertiserCharged]) -> Text:
    """Who changed the odds of this reply, who gained most first, and what that cost them."""
    if not settled.sponsored:
        why = f" ({VoidReason(settled.void_reason).name})" if settled.void_reason else ""
        return Text(f"no advertising{why}", style="dim")
    is_moved = any(words.is_moved(one.probability_without, one.probability_with) for one in charges)
    text = Text("SPONSORED", style=LABEL) if is_moved else Text(words.UNMOVED, style="dim")
    for charge in sorted(charges, key=lambda one: one.probability_without - one.probability_with):
        odds = f"{charge.probability_without:.1%} → {charge.probability_with:.1%}"
        amount = money(charge.charge_micros, charge.currency)
        text.append(f"\n  {charge.name}: {odds}, pays {amount}", style="not bold not dim")
        if said := words.effect(charge.probability_without, charge.probability_with, charge.charge_micros):
            text.append(f"\n    {said}", style="not bold dim")
    return text


def _refusal(record: Record) -> Text:
    letter = DeadLetter(record)
    said = visible(f"refused: {letter.reason or '?'} ({letter.message or '?'})")
    return Text(said, style="red")


def charges_table(charges: Iterable[AdvertiserCharged], most: int) -> Table:
    """What each advertiser paid in all, the largest first; beyond `most` rows the rest is one line."""
    totals: dict[tuple[str, str], list[int]] = {}
    for charge in charges:
        totals.setdefault((charge.name, charge.currency), []).append(charge.charge_micros)
    rows = sorted(totals.items(), key=lambda row: -sum(row[1]))
    table = Table("advertiser", title="charges", title_justify="left", box=None, header_style="bold")
    for column in ("auctions", "charged"):
        table.add_column(column, justify="right")
    for (name, currency), amounts in rows[:most]:
        table.add_row(name, str(len(amounts)), money(sum(amounts), currency))
    if rest := rows[most:]:
        amounts = [amount for _, charged in rest for amount in charged]
        table.add_row(f"and {len(rest)} more", str(len(amounts)), money(sum(amounts), rest[0][0][1]))
    return table


def totals(found: Sequence[Terminal], duration_s: float) -> Text:
    """The last lines: how many queries ended how, and the revenue."""
    settled = [terminal.settled.data for terminal in found if terminal.settled]
    charges = [charge.data for terminal in found for charge in terminal.charges]
    sold = sum(reply.outcome == "sold" for reply in settled)
    lines = [
        f"{counted(len(found), 'query', 'queries')}: {sold} sold, {len(settled) - sold} without advertising, "
        f"{len(found) - len(settled)} refused; {duration_s:.1f} s"
    ]
    for currency in sorted({charge.currency for charge in charges}):
        micros = sum(charge.charge_micros for charge in charges if charge.currency == currency)
        lines.append(
            f"revenue {money(micros, currency)} = {micros} micros, the sum of {counted(len(charges), 'charge')}"
        )
    return Text("\n" + "\n".join(lines))


def command() -> str:
    """How this program is called from where we are: by its path where a shell would not find it."""
    called = sys.argv[0]
    is_found = os.path.basename(called) != NAME or shutil.which(NAME)
    return NAME if is_found else os.path.relpath(called)


def explanation(query_id: str | None) -> Text:
    """What the numbers above are, and where one of them is worked out."""
    odds = "Percentages are the odds of that reply without the advertiser's bid → with it."
    said = f"\n{odds} {words.WHAT_IS_PAID} {words.WHAT_IS_DRAWN}"
    if query_id:
        us = command()
        said += f" One of them worked out: `{us} demo --json > log.jsonl; {us} explain {query_id} --from log.jsonl`."
    return Text(said, style="dim")


def lies(measured: Sequence[IncentiveMeasured]) -> Text:
    """Whether anybody could have gained by another bid than the true one."""
    tried = sum(found.lies_tried * len(found.gaps) for found in measured)
    best = max((found.largest_gap_micros for found in measured), default=0.0)
    said = f"honesty: of about {tried:,} other bids tried in {counted(len(measured), 'auction')}, "
    if best > 1.0:
        return Text(f"{said}the best would have gained {best:.3f} micros: the mechanism is broken", style="bold red")
    return Text(f"{said}none would have gained a micro", style="green")


def console(*, stderr: bool = False, piped_width: int | None = None) -> Console:
    """Standard output or error for people; `piped_width`: columns where no terminal has its own number of them."""
    if stderr:
        return Console(file=sys.stderr.behind) if isinstance(sys.stderr, Visible) else Console(stderr=True)
    return Console(width=None if sys.stdout.isatty() else piped_width)
