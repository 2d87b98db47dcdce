"""What only a campaign can tell: faults that were planned, aborted records, what is unread, how processes grew."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.topics import QUERIES
from workers.audit.log.invariants import Invariant, Report
from workers.audit.log.leaks import Sample, growth, is_long_enough
from workers.errors import TesseraError

Faults = Mapping[str, tuple[int, int]]  # name -> planned, happened
Resources = Mapping[str, Sequence[Sample]]  # by process, in the order of time


@dataclass(frozen=True)
class Unread:
    """A partition that its group has not read to the end; markers of transactions do not count."""

    group: str
    topic: str
    partition: int
    offset: int  # committed


def check_faults(report: Report, faults: Faults) -> None:
    """Every fault has happened as often as it was planned, or more often."""
    for name, (planned, happened) in faults.items():
        report.checked[Invariant.FAULTS_HAPPENED] += 1
        report.counts[Invariant.FAULTS_HAPPENED][name] = happened
        if happened < planned:
            report.find(Invariant.FAULTS_HAPPENED, f"{name}: planned {planned}, happened {happened}")


def check_aborts(report: Report, committed: Mapping[str, int], uncommitted: Mapping[str, int]) -> None:
    """By topic, records that a reader of committed and one of uncommitted records saw between the same ends.

    Aborted queries are the producer's; only what stages wrote and aborted proves that they were interrupted.
    """
    extra = {topic: uncommitted[topic] - committed.get(topic, 0) for topic in uncommitted}
    for topic, count in extra.items():
        report.checked[Invariant.ABORTS_SEEN] += 1
        report.counts[Invariant.ABORTS_SEEN][topic] = count
        if count < 0:
            said = (
                f"{topic}: {committed.get(topic, 0)} committed records, and only {uncommitted[topic]} with aborted ones"
            )
            report.find(Invariant.ABORTS_SEEN, said)
    if not any(count > 0 for topic, count in extra.items() if topic != QUERIES.name):
        report.find(Invariant.ABORTS_SEEN, "no stage has aborted a record: the campaign interrupted no transaction")


def check_unread(report: Report, groups: Sequence[str], unread: Sequence[Unread], waited_s: float) -> None:
    """Every group has read its topic to the end."""
    report.checked[Invariant.HEALED] += len(groups)
    report.counts[Invariant.HEALED]["groups"] = len(groups)
    for one in unread:
        report.find(
            Invariant.HEALED,
            f"group {one.group} has not read {one.topic} partition {one.partition} from offset {one.offset} on, "
            f"{waited_s:.0f} s after it was first asked",
        )


def check_resources(report: Report, resources: Resources) -> None:
    """Memory and descriptors of every process stayed flat; `leaks.py` has the rule."""
    short = 0
    for process, samples in resources.items():
        if not is_long_enough(samples):
            short += 1
            continue
        report.checked[Invariant.HEALED] += 1
        report.counts[Invariant.HEALED]["processes"] += 1
        for what in growth(samples):
            report.find(Invariant.HEALED, f"process {process}: {what}")
    if short:
        report.not_checked(Invariant.HEALED, f"{short} processes have too few samples to say whether they grow")


def read_faults(text: bytes, where: str) -> Faults:
    """JSON, {name: {"planned": n, "happened": m}}. TesseraError: it is something else, or empty."""
    try:
        found = {str(name): (_count(row["planned"]), _count(row["happened"])) for name, row in json.loads(text).items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise TesseraError(
            f'{where}: expected one JSON object, {{"FAULT": {{"planned": 3, "happened": 4}}, ...}}'
        ) from None
    if not found:
        raise TesseraError(f"{where} names no fault: a campaign without faults proves nothing")
    return found


def read_resources(lines: Iterable[bytes], where: str) -> Resources:
    """Samples by process from JSON lines. TesseraError names the line that is none."""
    found: dict[str, list[Sample]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            sample = Sample(*(_finite(row[name]) for name in ("t_s", "rss_mib", "fds")))
            found.setdefault(str(row["process"]), []).append(sample)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise TesseraError(
                f'{where}, line {number}: expected {{"t_s": 1.5, "process": "NAME", "rss_mib": 80.5, "fds": 30}}'
            ) from None
    return {process: sorted(samples, key=lambda one: one.t_s) for process, samples in found.items()}


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value


def _finite(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError
    return float(value)
