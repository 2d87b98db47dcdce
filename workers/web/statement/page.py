"""A statement as one self-contained HTML page in the style of the receipts: no script, no network, made for paper."""

from html import escape
from importlib.resources import files

from schemas.statement import Statement, StatementCredit, StatementLine
from workers.ledger.amounts import money
from workers.receipts.words import counted
from workers.web.receipt.figures import percent, section, shown_time

MOST_ON_A_PAGE = 20_000
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(found: Statement) -> str:
    """The whole page. Every text of a stranger is escaped."""
    title = f"Statement of {found.name}"
    body = "\n".join(
        [_head(found, title), _problems(found), _summary(found), _charges(found), _credits(found), _foot()]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{_style()}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _style() -> str:
    """That of the receipts, and what a long table needs."""
    sheets = (("workers.web.receipt", "page.css"), ("workers.web.statement", "statement.css"))
    return "\n".join(files(package).joinpath(name).read_text(encoding="utf-8") for package, name in sheets)


def _head(found: Statement, title: str) -> str:
    begin = shown_time(found.begin) if found.begin else "the first bill"
    end = shown_time(found.end) if found.end else "the last"
    facts = (
        f"account <code>{escape(found.advertiser_id)}</code>",
        f"from {begin} to {end}",
        f"charged <strong>{money(found.totals.charged_micros, found.currency)}</strong>",
        f"owed in the end <strong>{money(found.totals.closing_balance_micros, found.currency)}</strong>",
    )
    items = "".join(f"<li>{fact}</li>" for fact in facts)
    return f'<header><p class="kicker">Tessera</p><h1>{escape(title)}</h1><ul class="facts">{items}</ul></header>'


def _problems(found: Statement) -> str:
    """What does not fit, before anything else is read."""
    if not found.problems:
        return ""
    items = "".join(f"<li>{escape(one)}</li>" for one in found.problems)
    return section("problems", "This statement does not reconcile", f"<ul>{items}</ul>")


def _summary(found: Statement) -> str:
    totals = found.totals
    rows = (
        ("owed before", totals.opening_balance_micros),
        (f"+ {counted(totals.charges, 'charge')}", totals.charged_micros),
        (f"− {counted(totals.credits, 'credit')}", totals.credited_micros),
    )
    lines = "".join(f"<dt>{what}</dt><dd>{money(micros, found.currency)}</dd>" for what, micros in rows)
    end = f'<dt class="total">owed</dt><dd class="total">{money(totals.closing_balance_micros, found.currency)}</dd>'
    verdict = (
        '<p class="bad">The sums above are not those of the account.</p>'
        if found.problems
        else '<p class="good">Reconciled to the bills, to the micro.</p>'
    )
    return section("summary", "The account", f'<dl class="sum">{lines}{end}</dl>{verdict}{_lift(found)}')


def _lift(found: Statement) -> str:
    totals = found.totals
    if totals.mean_named_with is None or totals.mean_named_without is None:
        return '<p class="note">How often a reply would name it is not known: the numbers are kept no longer.</p>'
    with_, without = percent(totals.mean_named_with), percent(totals.mean_named_without)
    return (
        f"<p>Replies named {escape(found.name)} with a probability of <strong>{with_}</strong>; without its bids it "
        f"would have been <strong>{without}</strong>.</p>"
        f'<p class="note">The mean over {counted(totals.measured, "auction")}. Both are exact: they follow from the '
        "chances of all candidates with the bid and without it, so no experiment was needed.</p>"
    )


def _charges(found: Statement) -> str:
    titles = ("reply, without the bid", "with", "named, without", "with", f"charge, {found.currency}")
    head = "".join(f'<th scope="col" class="n">{title}</th>' for title in titles)
    rows = "".join(_charge(line) for line in found.lines)
    table = (
        '<div class="scroll" tabindex="0" role="region" aria-label="Charges"><table><caption>The probability of the '
        "reply that was given, and that a reply names the advertiser, without the bid and with it</caption>"
        f'<thead><tr><th scope="col">asked, and the reply</th>{head}</tr></thead>{rows}'
        '<tfoot><tr><th scope="row" colspan="5">sum</th>'
        f'<td class="n">{_units(found.totals.charged_micros)}</td></tr></tfoot></table></div>'
    )
    return section("charges", counted(len(found.lines), "charge"), table)


def _charge(line: StatementLine) -> str:
    chances = (line.probability_without, line.probability_with, line.named_without, line.named_with)
    cells = "".join(f'<td class="n">{"" if one is None else percent(one)}</td>' for one in chances)
    reply = "The reply is kept no longer." if line.reply is None else line.reply
    return (
        f'<tbody class="charge"><tr><th scope="row"><time>{shown_time(line.submitted_at)}</time><br>'
        f'<code>{escape(line.query_id)}</code></th>{cells}<td class="n">{_units(line.charge_micros)}</td></tr>'
        f'<tr><td colspan="6"><p class="strangers" dir="auto">{escape(reply)}</p>'
        f'<p class="note">charge <code>{line.charge_id}</code><br>bill SHA-256 <code>{line.bill_sha256}</code></p></td>'
        "</tr></tbody>"
    )


def _credits(found: Statement) -> str:
    if not found.credits:
        return ""
    rows = "".join(_credit(credit) for credit in found.credits)
    table = (
        '<table><thead><tr><th scope="col">credited</th><th scope="col">of the charge</th><th scope="col">reason</th>'
        f'<th scope="col" class="n">credit, {found.currency}</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    return section("credits", counted(len(found.credits), "credit"), f'<div class="scroll">{table}</div>')


def _credit(credit: StatementCredit) -> str:
    return (
        f"<tr><td>{shown_time(credit.credited_at)}</td><td><code>{credit.charge_id[:16]}…</code></td>"
        f'<td class="strangers" dir="auto">{escape(credit.reason)}</td>'
        f'<td class="n">−{_units(credit.credit_micros)}</td></tr>'
    )


def _units(micros: int) -> str:
    return money(micros, "").strip()


def _foot() -> str:
    return (
        "<footer><p>Each charge is worked out on its receipt: <code>tessera explain QUERY_ID --advertiser ID</code>. "
        "A charge belongs to the period in which the broker took its bill.</p></footer>"
    )
