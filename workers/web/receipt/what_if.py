"""The auditor's sliders as HTML: other weights and values for the same candidates, beside what happened."""

from html import escape

from schemas.receipt import AuditorReceipt, PartyReceipt
from workers.ledger.amounts import money
from workers.web.receipt.figures import colour, party_name, percent


def what_if(receipt: AuditorReceipt) -> str:
    """Sliders for τ and each value; the page's script shows the section and recomputes."""
    members = [member.declaration for party in receipt.parties for member in party.members]
    sliders = _slider("what-if-tau", "τ, micros per nat", "-4", "4", "0", "")
    for place, one in enumerate(members):
        mark = f' class="what-if-value" data-advertiser="{escape(one.advertiser_id)}"'
        sliders += _slider(f"what-if-value-{place}", f"value of {one.name}", "0", "4", "1", mark)
    intro = (
        '<p class="note">Other weights and other values for the same candidates, computed by this page from the logged '
        "numbers. Small τ lets bids decide, large τ keeps replies natural; a value of 0 is the auction without that "
        "advertiser’s wishes. Declared ranges are not applied again.</p>"
    )
    reset = '<p><button type="button" id="what-if-reset">As it happened</button></p>'
    body = f'{intro}<div class="sliders">{sliders}</div>{reset}{_charges(receipt)}{_overlay(receipt)}'
    opened = '<section id="what-if" class="what-if" aria-labelledby="h-what-if" hidden>'
    return f'{opened}<h2 id="h-what-if">What if</h2>{body}</section>'


def _slider(name: str, label: str, least: str, most: str, value: str, more: str) -> str:
    return (
        f'<div class="slider"><label for="{name}">{escape(label)}</label><input type="range" id="{name}"{more} '
        f'min="{least}" max="{most}" step="0.05" value="{value}"><output for="{name}"></output></div>'
    )


def _charges(receipt: AuditorReceipt) -> str:
    rows = "".join(
        f'<tr><th scope="row"><span class="swatch {colour(place)}"></span>{escape(party_name(party))}</th>'
        f'<td class="n billed">{money(_billed(party), receipt.currency)}</td>'
        f'<td class="n"><data class="what-if-charge" value=""></data></td></tr>'
        for place, party in enumerate(receipt.parties)
    )
    total = money(sum(map(_billed, receipt.parties)), receipt.currency)
    return (
        '<div class="scroll"><table><caption>Charges</caption><thead><tr><th scope="col">party</th>'
        '<th scope="col" class="n">as it happened</th><th scope="col" class="n">what if</th></tr></thead>'
        f'<tbody>{rows}</tbody><tfoot><tr><th scope="row">total</th><td class="n">{total}</td>'
        '<td class="n"><output id="what-if-total"></output></td></tr></tfoot></table></div>'
    )


def _billed(party: PartyReceipt) -> int:
    """What the bills say, whatever they should say: micros."""
    return sum(member.bill.charge_micros for member in party.members)


def _overlay(receipt: AuditorReceipt) -> str:
    """Both allocations in one bar each: as it happened behind, what if in front."""
    rows = "".join(
        f'<tr{" class=chosen" if index == receipt.draw.chosen_index else ""}><th scope="row">{index}</th>'
        '<td class="wide"><svg class="bar main" aria-hidden="true">'
        '<rect class="track" width="100%" height="100%" rx="2"/>'
        f'<rect class="ghost" width="{chance * 100:.4f}%" height="100%" rx="2"/>'
        '<rect class="if what-if-bar" y="30%" width="0%" height="40%" rx="1"/></svg></td>'
        f'<td class="n">{percent(chance)}</td><td class="n"><data class="what-if-pi" value=""></data></td></tr>'
        for index, chance in enumerate(receipt.probabilities)
    )
    key = '<span class="swatch ghost"></span>as it happened&emsp;<span class="swatch if"></span>what if'
    return (
        f'<div class="scroll"><table class="overlay"><caption>Chances of the candidates&emsp;{key}</caption><thead><tr>'
        '<th scope="col">reply</th><th scope="col"><span hidden>bars</span></th>'
        '<th scope="col" class="n">as it happened</th><th scope="col" class="n">what if</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
