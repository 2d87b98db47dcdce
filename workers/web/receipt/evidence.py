"""What makes a receipt checkable, as HTML: the draw, digests and versions, and what is left out."""

from collections.abc import Sequence
from html import escape

from schemas.auction import Engine
from schemas.receipt import AuditorReceipt, Receipt
from workers.web.receipt.figures import number_line, section, shown_time


def draw(receipt: Receipt) -> str:
    """The number line with the drawn point, and what makes it checkable."""
    drawn, u = receipt.draw, int(receipt.draw.u, 16) / 2**128
    intro = (
        '<p class="note">Each candidate owns a stretch of the line as long as its chance. The point u was fixed by a '
        "secret key and the auction’s own numbers; it decides.</p>"
    )
    figure = (
        f"<figure style='margin:0'>{number_line(drawn.weights, drawn.chosen_index, u)}<figcaption>u = {u:.9f} lies on "
        f"candidate {drawn.chosen_index}.</figcaption></figure>"
    )
    facts = _facts(
        [
            ("outcome", verification(receipt)),
            ("commitment", _commitment(receipt)),
            ("SHA-256 of the key", f"<code>{drawn.key_sha256}</code>"),
            ("key", f"<code>{drawn.key}</code>" if drawn.key else "not public yet"),
            ("u, hexadecimal", f"<code>{drawn.u}</code>"),
        ]
    )
    return section("draw", "The draw", intro + figure + facts)


def verification(receipt: Receipt) -> str:
    """What whoever made the page found of the draw: the page itself does not repeat it."""
    if receipt.draw.verification == "verified":
        return "draw verified with its key when this page was made"
    if receipt.draw.verification == "failed":
        return '<span class="bad">the draw is not what its key gives</span>'
    return f"draw not verifiable until the key of {escape(receipt.draw.epoch or 'this draw')} is revealed"


def _commitment(receipt: Receipt) -> str:
    drawn = receipt.draw
    if drawn.committed_key_sha256 is None or drawn.committed_at is None:
        return "none was found in this log"
    if drawn.committed_key_sha256 != drawn.key_sha256:
        return f'<span class="bad">to another key: <code>{drawn.committed_key_sha256}</code></span>'
    return f"to this key, for {escape(drawn.epoch or '')}, published {shown_time(drawn.committed_at)}"


def digests(receipt: Receipt) -> str:
    """Digests and versions, folded away."""
    rows = [
        ("auction", f"<code>{receipt.auction_id}</code>"),
        ("scored event, SHA-256", f"<code>{receipt.scored_sha256}</code>"),
        ("settled event, SHA-256", f"<code>{receipt.settled_sha256}</code>"),
        ("payment rule", escape(receipt.payment_rule)),
        ("receipt", f"version {receipt.version}, kind {receipt.kind}"),
    ]
    if isinstance(receipt, AuditorReceipt):
        rows += _model_rows(receipt)
        declared = [(one.bill, one.declaration) for party in receipt.parties for one in party.members]
        rows += [(f"{escape(one.reason.name)}", escape(one.advertiser_id)) for one in receipt.abstentions]
    else:
        declared = [(receipt.bill, receipt.advertiser)]
        rows += [("other advertisers", str(receipt.other_advertisers))]
    for bill, one in declared:
        rows.append((f"bill of {escape(one.name)}", f"<code>{bill.charge_id}</code>"))
        rows.append((f"description of {escape(one.name)}", f"<code>{one.description_sha256}</code>"))
        if one.reward_origin:
            rows.append((f"rewards of {escape(one.name)}", f"<code>{escape(one.reward_origin)}</code>"))
    return f'<section id="digests"><details><summary>Digests and versions</summary>{_facts(rows)}</details></section>'


def _model_rows(receipt: AuditorReceipt) -> list[tuple[str, str]]:
    engine, sampling = receipt.engine, receipt.sampling
    return [
        *_engine_rows("", engine),
        *(_engine_rows("reference ", receipt.reference_engine) if receipt.reference_engine else ()),
        ("tokenizer", f"<code>{engine.tokenizer_sha256}</code>"),
        (
            "sampling",
            f"{sampling.proposal}, temperature {sampling.temperature:g}, top_p {sampling.top_p:g}, at most "
            f"{sampling.max_tokens} tokens",
        ),
        ("proposal prompt", f"<code>{sampling.proposal_prompt_sha256}</code>"),
        ("reference prompt", f"<code>{sampling.reference_prompt_sha256}</code>"),
    ]


def _engine_rows(which: str, engine: Engine) -> list[tuple[str, str]]:
    return [
        (f"{which}engine", escape(f"{engine.name} {engine.version}")),
        (f"{which}model", f"<code>{engine.model_sha256}</code>"),
    ]


def foot(receipt: Receipt) -> str:
    check = "This page holds the receipt itself, as JSON, in the block <code>tessera-receipt</code>."
    if isinstance(receipt, AuditorReceipt):
        return f"<footer><p>{check} It holds every advertiser’s wishes: it is for auditors only.</p></footer>"
    return (
        f"<footer><p>{check} The charge follows from π, π₋ᵢ and τ alone. Of the other advertisers it holds only their "
        "number: log-probabilities under proposal and reference model are left out, because with π₋ᵢ they would give "
        "away the sum of the others’ wishes. Whoever can run the same public reference model can still estimate "
        "them.</p></footer>"
    )


def _facts(rows: Sequence[tuple[str, str]]) -> str:
    return f'<dl class="facts">{"".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)}</dl>'
