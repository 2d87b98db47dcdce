"""What a campaign wrote down: faults, aborts, lags and samples, and files that are none."""

import json
import random
from collections.abc import Callable, Sequence

import pytest

from schemas.letter import Place
from schemas.record import Record
from schemas.topics import QUERIES, SCORED, SETTLED
from tests.audit.campaign_log import broken, row
from workers.audit.log.campaign_faults import (
    Unread,
    check_aborts,
    check_faults,
    check_resources,
    check_unread,
    read_faults,
    read_resources,
)
from workers.audit.log.invariants import InvariantState, Report
from workers.audit.log.leaks import Sample
from workers.audit.log.offset_set import OffsetSet
from workers.audit.log.plan import read_plan
from workers.audit.log.witness import read_witness, witness_line
from workers.errors import TesseraError

READ = "reading"


def test_a_fault_that_happened_less_often_than_planned_is_found() -> None:
    done, missing = Report(), Report()

    check_faults(done, read_faults(b'{"kill": {"planned": 3, "happened": 4}}', READ))
    check_faults(missing, read_faults(b'{"kill": {"planned": 3, "happened": 2}}', READ))

    assert (broken(done), row(done, 10).state) == ([], InvariantState.HELD)
    assert broken(missing) == [10]
    assert row(missing, 10).examples == ("kill: planned 3, happened 2",)


def test_a_run_without_aborted_records_of_a_stage_is_found() -> None:
    committed = {QUERIES.name: 10, SCORED.name: 10, SETTLED.name: 10}
    seen, only_the_producer = Report(), Report()

    check_aborts(seen, committed, {**committed, SCORED.name: 12})
    check_aborts(only_the_producer, committed, {**committed, QUERIES.name: 12})

    assert broken(seen) == []
    assert row(seen, 8).counts[SCORED.name] == 2
    assert broken(only_the_producer) == [8]


def test_a_consumer_lag_that_stays_is_found() -> None:
    healed, behind = Report(), Report()

    check_unread(healed, ["auction.generation"], [], 5.0)
    check_unread(behind, ["auction.generation"], [Unread("auction.generation", QUERIES.name, 0, 7)], 5.0)

    assert (broken(healed), row(healed, 11).state) == ([], InvariantState.HELD)
    assert broken(behind) == [11]


def samples(rss: Callable[[float], float], fds: Callable[[float], float], count: int = 600) -> list[Sample]:
    """One a second, with noise, and a spike now and then."""
    rng = random.Random(7)
    spike = [400.0 if rng.random() < 0.05 else 0.0 for _ in range(count)]
    return [Sample(t, rss(t) + rng.uniform(-3, 3) + spike[t], fds(t) + rng.randint(0, 3)) for t in range(count)]


@pytest.mark.parametrize(
    ("process", "numbers"),
    [
        (samples(lambda t: 80.0, lambda t: 30), []),
        (samples(lambda t: 80.0 if t > 100 else 30.0, lambda t: 30), []),  # warming up
        (samples(lambda t: 1_000.0 + 0.1 * t, lambda t: 30), []),  # below a tenth
        (samples(lambda t: 80.0 + 0.1 * t, lambda t: 30), [11]),
        (samples(lambda t: 80.0, lambda t: 30 + t / 40), [11]),
    ],
    ids=["flat", "warming up", "large and nearly flat", "memory grows", "descriptors grow"],
)
def test_growing_memory_and_file_descriptors_are_found(process: Sequence[Sample], numbers: list[int]) -> None:
    report = Report()

    check_resources(report, {"settlement": process})

    assert broken(report) == numbers


def test_too_few_samples_are_not_judged() -> None:
    report = Report()

    check_resources(report, {"settlement": samples(lambda t: 80.0 + t, lambda t: 30, count=9)})

    assert row(report, 11).state is InvariantState.NOT_CHECKED
    assert "1 processes have too few samples" in row(report, 11).why


def test_samples_are_sorted_by_process_and_time() -> None:
    lines = [json.dumps({"t_s": t, "process": name, "rss_mib": t, "fds": 1}).encode() for t in (2, 1) for name in "ab"]

    read = read_resources(lines, READ)

    assert {name: [one.t_s for one in found] for name, found in read.items()} == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"kill": 3}', b'{"kill": {"planned": -1, "happened": 1}}'])
def test_a_malformed_file_of_faults_is_refused(text: bytes) -> None:
    with pytest.raises(TesseraError, match=READ):
        read_faults(text, READ)


@pytest.mark.parametrize(
    "line",
    [b"nonsense", b"[]", b'{"t_s": "1", "process": "a", "rss_mib": 1, "fds": 1}', b'{"t_s": 1, "process": "a"}'],
)
def test_a_malformed_file_of_samples_is_refused(line: bytes) -> None:
    with pytest.raises(TesseraError, match=f"{READ}, line 2"):
        read_resources([b"\n", line], READ)


@pytest.mark.parametrize(
    "line",
    [b"nonsense\n", b"[]\n", b'{"value_sha256": "00", "expect": "settled"}\n', b'{"expect": "settled"}\n'],
)
def test_a_malformed_plan_is_refused(line: bytes) -> None:
    with pytest.raises(TesseraError, match=f"{READ}, line 1"):
        read_plan([line], READ)


def test_witness_digests_tell_apart_header_names_that_are_not_utf_8() -> None:
    lines = {witness_line(Record("t", None, b"", ((name, b""),))) for name in ("caf\udce9", "caf\udce8", "caf\u00e9")}

    assert len(lines) == 3


def test_a_truncated_witness_file_is_read_up_to_the_last_whole_line() -> None:
    line = b'{"topic":"t","partition":0,"offset":1,"sha256":"0123456789abcdef"}\n'

    assert list(read_witness([line, line[:20]], READ).partitions["t", 0].offsets) == [1]
    for given in ([], [line, b"{}\n"], [line.replace(b"abcdef", b"")]):
        with pytest.raises(TesseraError, match=READ):
            read_witness(given, READ)


def test_an_offset_set_holds_exactly_the_offsets_added() -> None:
    rng = random.Random(3)
    places = {Place("t", rng.randrange(2), rng.randrange(1_000_000, 1_003_000)) for _ in range(500)}
    marks = OffsetSet()
    for place in places:
        marks.add(place)

    every = [Place("t", number, offset) for number in range(3) for offset in range(999_900, 1_003_100)]
    assert {place for place in every if place in marks} == places
