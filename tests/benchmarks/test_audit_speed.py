"""How fast a log is audited, from lines on disk to the verdict, and that memory does not grow with its length."""

import cProfile
import json
import pstats
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.identity import derive
from schemas.lines import to_line
from tests.benchmarks.auctions import CANDIDATES, scored_auctions
from tests.benchmarks.report import report
from tests.benchmarks.test_demo_memory import MEBIBYTE, peak_memory
from tests.builders import DRAW_KEY, SUBMITTED_AT, settle
from tests.worker_process import environment
from workers.audit.auditor import Audit
from workers.audit.reading import read_line
from workers.key_ring import commitment
from workers.mechanism.epochs import epoch_key

pytestmark = pytest.mark.benchmark

DISTINCT = 200
TIMED = 2_000
LENGTHS = (10_000, 100_000)
LEAST_PER_SECOND = 2_000
MOST_GROWTH = 1.1


def renamed(event: Event[CandidatesScored], number: int) -> Event[CandidatesScored]:
    """The same auction under ids of its own."""
    query_id = f"query-{number}"
    changed = {"query_id": query_id, "auction_id": derive("auction", query_id)}
    data = event.data.model_copy(update=changed)
    return replace(event, data=data, value=data.encode(), subject=query_id, correlation_id=query_id)


async def write_log(path: Path, auctions: int) -> None:
    """So many auctions, each scored, settled and billed, after the commitment to the keys they are drawn with."""
    distinct = await scored_auctions(DISTINCT)
    with path.open("wb") as file:
        for epoch in sorted({event.data.draw_epoch for event in distinct}, key=str):
            file.write(to_line(commitment(epoch_key(DRAW_KEY, epoch), SUBMITTED_AT)) + b"\n")
        for number in range(auctions):
            for event in settled(renamed(distinct[number % DISTINCT], number)):
                file.write(to_line(event) + b"\n")


def settled(scored: Event[CandidatesScored]) -> Iterator[Event[Any]]:
    yield scored
    yield from settle(scored)


def audit_file(path: Path) -> Audit:
    """As the command does it, without its progress bar."""
    audit = Audit(lambda finding: None, [DRAW_KEY])
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            entry = read_line(line, number)
            if entry is not None:
                audit.add(entry)
    audit.finish()
    return audit


async def test_auctions_per_second(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    await write_log(path, TIMED)
    seconds = []
    for _ in range(5):
        began = process_time()
        audit = audit_file(path)
        seconds.append(process_time() - began)
        assert audit.tally.notes["auctions"] == TIMED
        assert audit.tally.discrepancies == 0
    rate = TIMED / min(seconds)
    profile = cProfile.Profile()
    profile.runcall(audit_file, path)
    pstats.Stats(profile).sort_stats("tottime").print_stats(12)
    row = {"M": CANDIDATES, "N": 2, "auctions/s per core": rate, "microseconds": 1e6 / rate}
    report("audit-speed", [row | {"bytes per auction": path.stat().st_size / TIMED}])
    assert rate >= LEAST_PER_SECOND


async def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    rows = [await one_length(tmp_path, auctions) for auctions in LENGTHS]
    report("audit-memory", rows)
    short, long = (float(str(row["peak MiB"])) for row in rows)
    assert long <= MOST_GROWTH * short


async def one_length(folder: Path, auctions: int) -> dict[str, object]:
    """Peak memory and rate of `tessera audit --json` on a log of so many auctions."""
    path = folder / "log.jsonl"
    await write_log(path, auctions)
    command = [sys.executable, "-m", "workers", "audit", str(path), "--json"]
    settings = environment("127.0.0.1:1", draw_key=DRAW_KEY.decode())
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, text=True) as process:
        peak = peak_memory(process)
        output = process.stdout.read() if process.stdout else ""
    totals = json.loads(output.splitlines()[-1])
    path.unlink()
    assert totals["auctions"] == auctions
    assert totals["discrepancies"] == 0
    return {
        "auctions": auctions,
        "peak MiB": peak / MEBIBYTE,
        "auctions/s": auctions / float(totals["duration_s"]),
        "seconds": float(totals["duration_s"]),
    }
