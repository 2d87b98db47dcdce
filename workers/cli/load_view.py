"""A load test's report in a terminal, and its picture: latency by percentile, both axes logarithmic."""

from collections.abc import Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workers.cli.log_plot import log_plot
from workers.cli.visible import visible
from workers.experiments.figure import Curve, Plot
from workers.load.report import LoadReport

LEAST_MS = 0.001  # a logarithm has no place for 0


def picture(found: LoadReport) -> str:
    """An SVG document. Where no query was answered, it says so."""
    if not found.curve:
        return '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 40"><text y="20">nothing answered</text></svg>'
    xs = tuple(1 / (1 - share) for share, _ in found.curve)
    curve = Curve("queries", xs, tuple(max(LEAST_MS, ms) for _, ms in found.curve), 0, "line")
    return log_plot(Plot("Latency of queries by percentile", "one query in … takes longer", "milliseconds", (curve,)))


def summary(found: LoadReport) -> RenderableType:
    """Rates, what became of each kind, and percentiles from when each was due."""
    rates = (
        f"offered {found.offer.rate_hz:g}/s for {found.offer.duration_s:g} s, sent {found.sent_hz:.1f}/s, "
        f"answered {found.answered_hz:.1f}/s"
    )
    outcomes = Table("kind", "records", "outcomes", box=box.SIMPLE)
    for one in found.kinds:
        told = ", ".join(f"{count:,} {visible(outcome)}" for outcome, count in one.outcomes.items())
        outcomes.add_row(one.kind, f"{one.arrivals:,}", told)
    return Group(Text(rates), outcomes, _latency(found), *_problems(found))


def _latency(found: LoadReport) -> Table:
    table = Table("ms, from when it was due", box=box.SIMPLE)
    for name in found.send_late_ms:
        table.add_column(name, justify="right")
    for one in found.kinds:
        table.add_row(one.kind, *_cells(one.from_due_ms))
    table.add_row("sent late by", *_cells(found.send_late_ms))
    return table


def _cells(values: Mapping[str, float | None]) -> list[str]:
    return ["–" if value is None else f"{value:,.1f}" for value in values.values()]


def _problems(found: LoadReport) -> list[Text]:
    said = []
    if found.unanswered:
        said.append(
            f"{found.unanswered:,} of {found.arrivals:,} had no answer when the test ended: do the stages run? "
            "`tessera topics describe` shows who is behind"
        )
    if found.not_taken:
        said.append(
            f"Kafka did not acknowledge {found.not_taken:,} records; of the first: {visible(found.first_error)}"
        )
    return [Text(one, style="red") for one in said]
