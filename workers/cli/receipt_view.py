"""How a receipt looks in a terminal: candidates as bars, who moved what, the charge in numbers, the draw."""

from collections.abc import Iterable, Iterator, Sequence
from textwrap import shorten

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.receipt import (
    AdvertiserReceipt,
    AuditorReceipt,
    Bill,
    ChargeTerms,
    Declaration,
    PartyReceipt,
    Receipt,
)
from workers.cli.render import LABEL
from workers.ledger.amounts import money
from workers.receipts import words

BAR_CELLS = 8
BAR_COLUMN = BAR_CELLS + 10  # a bar, its number, and two cells between
SHOWN_CHARACTERS = 72  # of a candidate, so that 80 columns hold it; the page and the JSON have them whole
MOST_BARS = 4  # columns of bars; further parties have their numbers in their own tables
EIGHTHS = " ▏▎▍▌▋▊▉█"
CHOSEN = "bold green"


def receipt(found: Receipt, problems: Sequence[str]) -> RenderableType:
    """A whole receipt; what does not recompute, the sentences of `recheck`, stands in red above everything else."""
    parts = _auditor(found) if isinstance(found, AuditorReceipt) else _advertiser(found)
    head = Text(found.question.text, style="bold cyan")
    body = (head, _indented(_reply(found)), *parts, *_draw(found))
    return Group(_problems(problems), *body) if problems else Group(*body, _all_fits())


def _reply(found: Receipt) -> Text:
    text = Text(found.reply or "(an empty reply)")
    if words.is_moved_by_any(found):
        text.append("\nSPONSORED", style=LABEL)
        text.append(f"  {found.disclosure.removeprefix('Sponsored. ')}", style="dim")
    else:
        text.append(f"\n{words.UNMOVED}", style="dim")
    return text.append(f"\n{words.WHAT_IS_PAID} {words.WHAT_IS_DRAWN}", style="not bold dim")


def _auditor(found: AuditorReceipt) -> Iterator[RenderableType]:
    names = [_name(party) for party in found.parties]
    texts = [candidate.text for candidate in found.candidates]
    rows = [party.probabilities_without for party in found.parties]
    yield _heading("candidates")
    yield _indented(_candidates(found, names, rows, texts))
    for party, name in zip(found.parties, names, strict=True):
        payer, *others = party.members
        yield _heading(f"{name} ({', '.join(one.declaration.advertiser_id for one in party.members)}) moved")
        yield _indented(_moves(found, payer.declaration, party.probabilities_without, party.log_probabilities_without))
        yield _indented(_worked_out(found, party.charge, payer.bill))
        yield from _origins([member.declaration for member in party.members])
        for member in others:
            yield _indented(Text(f"{member.declaration.name} belongs to the same party and is billed 0", style="dim"))


def _advertiser(found: AdvertiserReceipt) -> Iterator[RenderableType]:
    own = found.advertiser
    texts = [found.reply if index == found.draw.chosen_index else "" for index in range(found.candidate_count)]
    yield _heading("candidates")
    yield _indented(_candidates(found, [own.name], [found.probabilities_without], texts))
    yield _heading(f"{own.name} ({own.advertiser_id}) moved")
    yield _indented(_moves(found, own, found.probabilities_without, found.log_probabilities_without))
    yield _indented(_worked_out(found, found.charge, found.bill))
    yield from _origins([own])
    if not found.carries_charge:
        yield _indented(Text("the party's first member carries the charge; this advertiser is billed 0", style="dim"))


def _origins(declared: Sequence[Declaration]) -> Iterator[RenderableType]:
    """Where the worth comes from, where it is not the engine told to advertise."""
    for one in declared:
        if one.reward_origin:
            yield _indented(Text(f"{one.name} values replies by {one.reward_origin}", style="dim"))


def _name(party: PartyReceipt) -> str:
    return " + ".join(member.declaration.name for member in party.members)


def _candidates(found: Receipt, names: Sequence[str], without: Sequence[Sequence[float]], texts: Sequence[str]) -> Text:
    """Each candidate's chance as a bar, beside it its chance without each of the first parties, below it its text."""
    columns = [found.probabilities, *without][:MOST_BARS]
    lines = [_line(["", *["without"] * (len(columns) - 1)]), _line(["chance", *names[: len(columns) - 1]])]
    for index, text in enumerate(texts):
        style = CHOSEN if index == found.draw.chosen_index else ""
        lines.append(_line([f"{bar(row[index])} {row[index]:7.2%}" for row in columns], _mark(found, index), style))
        if text:
            lines.append(Text(f"    {shorten(text, SHOWN_CHARACTERS, placeholder='…')}", style=style or "dim"))
    return Text("\n").join(lines)


def _line(cells: Sequence[str], mark: str = "", style: str = "") -> Text:
    """Cells of one width, cut with an ellipsis where a name is longer; behind the last is nothing."""
    line = Text(mark.ljust(4), style=style)
    for cell in cells:
        text = Text(cell)
        text.truncate(BAR_COLUMN - 2, overflow="ellipsis", pad=True)
        line.append_text(text).append("  ")
    line.rstrip()
    return line


def _mark(found: Receipt, index: int) -> str:
    return f"{'▶' if index == found.draw.chosen_index else ' '} {index}"


def bar(share: float) -> str:
    """A share of 1 as a bar of BAR_CELLS cells, in eighths of a cell."""
    eighths = round(share * BAR_CELLS * 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(BAR_CELLS)


def _moves(found: Receipt, own: Declaration, without: Sequence[float], log_without: Sequence[float]) -> Table:
    """What each candidate is worth to the advertiser, its two chances, and its term of the charge."""
    table = Table("", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("worth, micros", "chance without", "chance with", "π·ln(π/π₋ᵢ)"):
        table.add_column(column, justify="right")
    rows = zip(own.rewards_micros, without, found.probabilities, terms(found, log_without), strict=True)
    for index, (worth, before, after, term) in enumerate(rows):
        chosen = index == found.draw.chosen_index
        cells = (_mark(found, index), f"{worth:,.1f}", f"{before:.4%}", f"{after:.4%}", f"{term:+.6f}")
        table.add_row(*cells, style=CHOSEN if chosen else "")
    return table


def terms(found: Receipt, log_without: Sequence[float]) -> list[float]:
    """[M] πⱼ·ln(πⱼ/π₋ᵢ,ⱼ) in nats; their sum times τ is the charge."""
    pairs = zip(found.probabilities, found.log_probabilities, log_without, strict=True)
    return [chance * (with_ - before) if chance else 0.0 for chance, with_, before in pairs]


def _worked_out(found: Receipt, charge: ChargeTerms, bill: Bill) -> Text:
    """The charge in numbers, from the sum of the terms to the bill."""
    text = Text(f"their sum {charge.influence_nats:.9f} nats × τ {found.tau_micros_per_nat:,} micros per nat")
    text.append(f"\n= {charge.before_rounding_micros:.6f} micros, rounded {charge.rounded_micros:,}")
    text.append(f"\nbilled {money(bill.charge_micros, found.currency)}", style="bold")
    return text.append(f"; it could not exceed {money(bill.bound_micros, found.currency)}", style="not bold dim")


def _draw(found: Receipt) -> Iterable[RenderableType]:
    draw = found.draw
    text = Text(f"u = {int(draw.u, 16) / 2**128:.9f}, on candidate {draw.chosen_index}: ")
    text.append(verification(found), style="red" if draw.verification == "failed" else "")
    text.append(f"\nkey {draw.key_sha256} (SHA-256), {commitment(found)}", style="dim")
    return _heading("draw"), _indented(text)


def verification(found: Receipt) -> str:
    """What is known of the draw."""
    if found.draw.verification == "key_unknown":
        return f"not verifiable until the key of {found.draw.epoch or 'this draw'} is revealed"
    return "verified with its key" if found.draw.verification == "verified" else "NOT what its key gives"


def commitment(found: Receipt) -> str:
    """Whether the key was committed to before."""
    draw = found.draw
    if draw.committed_key_sha256 is None or draw.committed_at is None:
        return "no commitment found"
    if draw.committed_key_sha256 != draw.key_sha256:
        return f"BUT {draw.epoch} was committed to another: {draw.committed_key_sha256}"
    return f"committed to for {draw.epoch} at {draw.committed_at:%Y-%m-%d %H:%M:%S} UTC"


def _problems(problems: Sequence[str]) -> Text:
    return Text("\n".join(["this receipt does not recompute:", *problems, ""]), style="bold red")


def _all_fits() -> Text:
    return Text("\nrecomputed from the receipt's own numbers: everything fits", style="dim")


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _indented(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, 2))
