"""The table of a game day: what was broken, which alert said so, and after how long."""

from collections.abc import Iterator, Sequence

from tests.chaos.rounds import kafka_version, machine
from tests.game_day.rehearsal import Rehearsal

HEAD = """# Game day

Written by `{command}`: outages on a real pipeline
(Kafka {kafka}, a process for each stage, an engine behind HTTP, a load of 3 queries a second), watched by a real
Prometheus with the rules of `rules.yml`{alertmanager}.

Ranges and waiting times of the rules were divided by {times:g}, thresholds were not: with the rules as they are, each
alert takes up to {times:g} times as long. {machine}.

| what was broken | alert | fires after, s | Alertmanager has it after, s | silent again after it was mended, s |
|---|---|---|---|---|
"""


def report(rehearsals: Sequence[Rehearsal], *, times: float, command: str, has_alertmanager: bool) -> str:
    """Markdown. Alerts that were not asked for are named, too: they woke somebody as well."""
    said = ", which tells a real Alertmanager" if has_alertmanager else "; no Alertmanager was at hand"
    head = HEAD.format(
        command=command,
        kafka=kafka_version(),
        alertmanager=said,
        times=times,
        machine=machine(),
    )
    return head + "".join(f"{row}\n" for one in rehearsals for row in _rows(one)) + _verdict(rehearsals)


def _rows(one: Rehearsal) -> Iterator[str]:
    for name in sorted({*one.fired_s} | one.outage.expected, key=lambda name: one.fired_s.get(name, float("inf"))):
        fired, notified = _seconds(one.fired_s.get(name)), _seconds(one.notified_s.get(name))
        silent = _seconds(one.silent_s) if name in one.outage.expected else ""
        mark = "" if name in one.outage.expected else " (also)"
        yield f"| {one.outage.what} | {name}{mark} | {fired} | {notified} | {silent} |"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f}"


def _verdict(rehearsals: Sequence[Rehearsal]) -> str:
    missing = [f"{name} when {one.outage.what}" for one in rehearsals for name in sorted(one.missing)]
    return f"\n**{'Did not fire: ' + '; '.join(missing) if missing else 'Every alert that was expected fired'}.**\n"
