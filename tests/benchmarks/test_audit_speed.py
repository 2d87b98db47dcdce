"""How fast a log is audited, from lines on disk to the verdict, and that memory does not grow with its length."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.lines import to_line
from tests.benchmarks.auctions import CANDIDATES, renamed, scored_auctions
from tests.benchmarks.report import Scale, print_profile
from tests.benchmarks.test_demo_memory import MEBIBYTE, peak_memory
from tests.support.builders import DRAW_KEY, SUBMITTED_AT, settle
from tests.support.worker_process import environment
from workers.audit.auditor import Audit
from workers.audit.entries import read_line
from workers.draw_keys import commitment
from workers.mechanism.epochs import epoch_key

DISTINCT = 200
LEAST_PER_SECOND = 2_000
MOST_GROWTH = 1.1


async def write_log(path: Path, auctions: int) -> None:
    """So many auctions, each scored, settled and billed, after the commitment to the keys they are drawn with."""
    distinct = await scored_auctions(min(DISTINCT, auctions))
    with path.open("wb") as file:
        for epoch in sorted({event.data.draw_epoch for event in distinct}, key=str):
            file.write(to_line(commitment(epoch_key(DRAW_KEY, epoch), SUBMITTED_AT)) + b"\n")
        for number in range(auctions):
            for event in settled(renamed(distinct[number % len(distinct)], number)):
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


async def test_auctions_per_second(scale: Scale, tmp_path: Path) -> None:
    path, timed = tmp_path / "log.jsonl", scale(2_000, 20)
    await write_log(path, timed)
    seconds = []
    for _ in range(scale(5, 1)):
        began = process_time()
        audit = audit_file(path)
        seconds.append(process_time() - began)
        assert audit.tally.notes["auctions"] == timed
        assert audit.tally.discrepancies == 0
    rate = timed / min(seconds)
    print_profile(lambda: audit_file(path))
    row = {"M": CANDIDATES, "N": 2, "auctions/s per core": rate, "microseconds": 1e6 / rate}
    scale.report("audit-speed", [row | {"bytes per auction": path.stat().st_size / timed}])
    if scale.is_full:
        assert rate >= LEAST_PER_SECOND


async def test_memory_does_not_grow_with_the_log(scale: Scale, tmp_path: Path) -> None:
    rows = [await one_length(tmp_path, auctions) for auctions in scale((10_000, 100_000), (20, 200))]
    scale.report("audit-memory", rows)
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
