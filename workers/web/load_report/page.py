"""A load test's report as one self-contained HTML page in the style of the receipts: no script, no network."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files

from workers.load.report import KindResult, LoadReport
from workers.web.receipt.figures import grouped, section

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
TITLE = "Load test"


def page(found: LoadReport, picture: str) -> str:
    """The whole page. `picture`: an SVG document; it stands in the page as an image, with styles of its own."""
    style = files("workers.web.receipt").joinpath("page.css").read_text(encoding="utf-8")
    body = "\n".join([_head(found), _problems(found), _latency(found, picture), _outcomes(found), _foot(found)])
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{TITLE}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(found: LoadReport) -> str:
    facts = (
        f"{found.arrivals:,} records in {found.offer.duration_s:g} s",
        f"offered <strong>{found.offer.rate_hz:g}</strong> per second",
        f"sent <strong>{found.sent_hz:.1f}</strong> per second",
        f"answered <strong>{found.answered_hz:.1f}</strong> per second",
    )
    items = "".join(f"<li>{fact}</li>" for fact in facts)
    return f'<header><p class="kicker">Tessera</p><h1>{TITLE}</h1><ul class="facts">{items}</ul></header>'


def _problems(found: LoadReport) -> str:
    said = []
    if found.unanswered:
        said.append(f"{found.unanswered:,} of {found.arrivals:,} had no answer when the test ended.")
    if found.not_taken:
        said.append(f"Kafka did not acknowledge {found.not_taken:,} records; of the first: {found.first_error}")
    items = "".join(f"<li>{escape(one)}</li>" for one in said)
    return section("problems", "Not everything was answered", f"<ul>{items}</ul>") if said else ""


def _latency(found: LoadReport, picture: str) -> str:
    rows = [(f"{one.kind}, from when it was due", one.from_due_ms) for one in found.kinds]
    rows += [(f"{one.kind}, from when it was sent", one.from_sent_ms) for one in found.kinds]
    rows += [("sent after it was due", found.send_late_ms)]
    image = b64encode(picture.encode()).decode()
    figure = f'<figure><img src="data:image/svg+xml;base64,{image}" alt="Latency by percentile" width="100%"></figure>'
    note = (
        '<p class="note">Arrivals are a Poisson process and wait for nothing, and a query’s time begins when it was '
        "due. Percentiles are exact, of all records; those without an answer count as the slowest (–).</p>"
    )
    return section("latency", "Latency, ms", figure + _table(rows) + note)


def _table(rows: Iterable[tuple[str, Mapping[str, float | None]]]) -> str:
    listed = list(rows)
    head = "".join(f'<th scope="col" class="n">{name}</th>' for name in listed[0][1])
    body = "".join(f'<tr><th scope="row">{escape(name)}</th>{_cells(values)}</tr>' for name, values in listed)
    table = f'<table><thead><tr><th scope="col">of</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Percentiles">{table}</div>'


def _cells(values: Mapping[str, float | None]) -> str:
    return "".join(f'<td class="n">{"–" if one is None else grouped(one, 1)}</td>' for one in values.values())


def _outcomes(found: LoadReport) -> str:
    rows = "".join(_outcome(one) for one in found.kinds)
    head = '<th scope="col">kind</th><th scope="col" class="n">records</th><th scope="col">outcomes</th>'
    return section(
        "outcomes", "What became of them", f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _outcome(one: KindResult) -> str:
    told = ", ".join(f"{count:,} {escape(outcome)}" for outcome, count in one.outcomes.items())
    return f'<tr><th scope="row">{one.kind}</th><td class="n">{one.arrivals:,}</td><td>{told}</td></tr>'


def _foot(found: LoadReport) -> str:
    return f"<footer><p>Made by <code>tessera load</code>, seed {found.offer.seed}.</p></footer>"
