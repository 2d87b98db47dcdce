"""The sections of a receipt's page as HTML; every text that comes from a receipt is escaped here."""

from collections.abc import Iterator, Sequence
from html import escape

from schemas.receipt import AdvertiserReceipt, AuditorReceipt, Bill, ChargeTerms, PartyReceipt, Receipt
from workers.ledger.amounts import money
from workers.receipts import words
from workers.web.receipt.evidence import verification
from workers.web.receipt.figures import bar, colour, grouped, party_name, percent, section, shown_time

EVERYBODY = "with everybody"


def head(receipt: Receipt, whose: str) -> str:
    """Whose receipt of what."""
    charged = receipt.total_charge_micros if isinstance(receipt, AuditorReceipt) else receipt.bill.charge_micros
    total = ' <output id="recomputed-total"></output>' if isinstance(receipt, AuditorReceipt) else ""
    facts = (
        f"query <code>{escape(receipt.query_id)}</code>",
        f"asked {shown_time(receipt.submitted_at)}",
        f"charged <strong>{money(charged, receipt.currency)}</strong>{total}",
        verification(receipt),
    )
    items = "".join(f"<li>{fact}</li>" for fact in facts)
    return f'<header><p class="kicker">Tessera</p><h1>{escape(whose)}</h1><ul class="facts">{items}</ul></header>'


def problems(found: Sequence[str]) -> str:
    """What does not fit, before anything else is read; nothing when everything does."""
    if not found:
        return ""
    items = "".join(f"<li>{escape(one)}</li>" for one in found)
    return section("problems", "This receipt does not recompute", f"<ul>{items}</ul>")


def query(receipt: Receipt) -> str:
    return section("query", "The query", f'<p class="query strangers" dir="auto">{escape(receipt.question.text)}</p>')


def reply(receipt: Receipt) -> str:
    """The reply as the user got it, with its label and the disclosure."""
    is_moved = words.is_moved_by_any(receipt)
    label = '<span class="label">Sponsored</span>' if is_moved else ""
    said = receipt.disclosure.removeprefix("Sponsored. ") if is_moved else words.UNMOVED
    return section(
        "reply",
        "The reply",
        f'{label}<p class="reply strangers" dir="auto">{escape(receipt.reply)}</p>'
        f'<p class="note">{escape(said)}</p><p class="note">{words.WHAT_IS_PAID} {words.WHAT_IS_DRAWN}</p>',
    )


def candidates_of_auditor(receipt: AuditorReceipt) -> str:
    texts = [candidate.text for candidate in receipt.candidates]
    without = [(party_name(party), party.probabilities_without) for party in receipt.parties]
    return _candidates(receipt, texts, without)


def candidates_of_advertiser(receipt: AdvertiserReceipt) -> str:
    """Only the reply that was given is shown: the other candidates may name other advertisers."""
    texts = [""] * receipt.candidate_count
    texts[receipt.draw.chosen_index] = receipt.reply
    return _candidates(receipt, texts, [(receipt.advertiser.name, receipt.probabilities_without)])


def _candidates(receipt: Receipt, texts: Sequence[str], without: Sequence[tuple[str, Sequence[float]]]) -> str:
    intro = (
        f"<p class='note'>{_written(receipt)} Bids only moved their chances: "
        "π is a reply’s chance with everybody, π₋ᵢ its chance had one party stayed away.</p>"
    )
    rows = "".join(_candidate(receipt, index, text, without) for index, text in enumerate(texts))
    return section("candidates", f"{len(texts)} candidates", f'{intro}<ol class="candidates">{rows}</ol>')


def _written(receipt: Receipt) -> str:
    """What the model knew of the advertisers when it wrote; an advertiser's receipt does not hold it."""
    if isinstance(receipt, AuditorReceipt) and receipt.sampling.proposal == "reference":
        return "The model wrote these replies independently of any bid."
    told = "the model was" if isinstance(receipt, AuditorReceipt) else "the model may have been"
    return f"The model wrote these replies before and independently of the amounts bid; {told} told who takes part."


def _candidate(receipt: Receipt, index: int, text: str, without: Sequence[tuple[str, Sequence[float]]]) -> str:
    chosen = index == receipt.draw.chosen_index
    mark = '<span class="label drawn">Drawn</span>' if chosen else ""
    said = f'<p class="text strangers" dir="auto">{escape(text)}</p>' if text else ""
    lines = [_bar_line(EVERYBODY, receipt.probabilities[index], "with", "main")]
    lines += [_bar_line(f"without {name}", row[index], f"{colour(place)}") for place, (name, row) in enumerate(without)]
    return (
        f'<li class="{"chosen" if chosen else "other"}"><p class="head">Candidate {index} {mark}</p>{said}'
        f'<div class="bars">{"".join(lines)}</div></li>'
    )


def _bar_line(name: str, chance: float, colour: str, size: str = "") -> str:
    return f"<span>{escape(name)}</span><span>{bar(chance, colour, size)}</span><span>{percent(chance)}</span>"


def moves_of_auditor(receipt: AuditorReceipt) -> Iterator[str]:
    for place, party in enumerate(receipt.parties):
        rewards = [
            sum(column) for column in zip(*(one.declaration.rewards_micros for one in party.members), strict=True)
        ]
        payer, *others = party.members
        notes = [f"{one.declaration.name} belongs to the same party and is billed nothing." for one in others]
        yield _moves(receipt, place, party_name(party), rewards, party, payer.bill, notes)


def moves_of_advertiser(receipt: AdvertiserReceipt) -> str:
    notes = [] if receipt.carries_charge else ["The first member of its party is billed; this advertiser is not."]
    if receipt.party_members > 1:
        notes.append(f"It bid as one party of {receipt.party_members}: the chances without it are those without all.")
    own = receipt.advertiser
    return _moves(receipt, 0, own.name, own.rewards_micros, receipt, receipt.bill, notes)


def _moves(
    receipt: Receipt,
    place: int,
    name: str,
    rewards: Sequence[float],
    share: PartyReceipt | AdvertiserReceipt,
    bill: Bill,
    notes: list[str],
) -> str:
    """Who moved what, and the charge worked out term by term."""
    swatch = f'<span class="swatch {colour(place)}"></span>'
    rows = "".join(
        _move(receipt, index, worth, share.probabilities_without[index], share.log_probabilities_without[index])
        for index, worth in enumerate(rewards)
    )
    head_ = "".join(
        f'<th scope="col" class="n">{title}</th>'
        for title in ("worth, micros", "π₋ᵢ without", "π with", "π · ln(π / π₋ᵢ)")
    )
    table = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="What {escape(name)} moved"><table><caption>'
        f"What each candidate is worth to {escape(name)}, and what its bid did to their chances</caption>"
        f'<thead><tr><th scope="col">reply</th>{head_}</tr></thead><tbody>{rows}</tbody>'
        '<tfoot><tr><th scope="row" colspan="3">sum, nats</th>'
        f'<td class="n" colspan="2">{share.charge.influence_nats:.9f}</td></tr></tfoot></table></div>'
    )
    worked = _worked_out(receipt, share.charge, bill)
    drawn = receipt.draw.chosen_index
    effect = words.effect(share.probabilities_without[drawn], receipt.probabilities[drawn], bill.charge_micros)
    notes = [f"Of the drawn reply: {effect}.", *notes] if effect else notes
    said = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    return section(f"moves-{place}", f"{swatch}What {escape(name)} moved", f"{table}{worked}{said}")


def _move(receipt: Receipt, index: int, worth: float, without: float, log_without: float) -> str:
    chance = receipt.probabilities[index]
    term = chance * (receipt.log_probabilities[index] - log_without) if chance > 0 else 0.0
    chosen = ' class="chosen"' if index == receipt.draw.chosen_index else ""
    cells = "".join(
        f'<td class="n">{cell}</td>'
        for cell in (grouped(worth, 1), percent(without), percent(chance), f"{term:+.6f}".replace("-", "−"))
    )
    return f'<tr{chosen}><th scope="row">{index}</th>{cells}</tr>'


def _worked_out(receipt: Receipt, charge: ChargeTerms, bill: Bill) -> str:
    lines = (
        ("influence: the sum of the last column", f"{charge.influence_nats:.9f} nats"),
        ("× τ, the weight of the reference model", f"{grouped(receipt.tau_micros_per_nat)} micros per nat"),
        ("= charge before rounding", f"{grouped(charge.before_rounding_micros, 6)} micros"),
        ("rounded once, half to even", f"{grouped(charge.rounded_micros)} micros"),
    )
    rows = "".join(f"<dt>{what}</dt><dd>{amount}</dd>" for what, amount in lines)
    total = f'<dt class="total">billed</dt><dd class="total">{money(bill.charge_micros, receipt.currency)}</dd>'
    bound = f"<dt>could not exceed</dt><dd>{money(bill.bound_micros, receipt.currency)}</dd>"
    return f'<dl class="sum">{rows}{total}{bound}</dl><p><output class="recomputed"></output></p>'
