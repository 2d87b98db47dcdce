"""The checker's word on a round: `tessera verify`, and the witness that reads along while things break."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.worker_process import environment

ROOT = Path(__file__).parents[2]
CLEAN, FINDING = 0, 1
BEGIN_S, END_S, VERIFY_S = 60.0, 30.0, 600.0
POLL_S = 0.05
EXAMPLES = "20"
NO_LEDGER_YET = "ledger_folded"
ABORTS = "aborts_seen"
WASTE = "no_duplicates"  # the invariant that counts what was generated or scored again


@dataclass(frozen=True)
class Verdict:
    """`waste` is work that a stage did twice and nobody was billed for: records by what the checker calls them."""

    findings: list[str]
    waste: dict[str, int]


@contextmanager
def witness(servers: str, folder: Path) -> Iterator[None]:
    """A reader in a process of its own: writes folder/witness.jsonl from the beginning of the block to its end."""
    command = [sys.executable, "-m", "workers", "verify", "--record-witness", str(folder / "witness.jsonl")]
    log = folder / "witness.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(servers), stdout=output, stderr=output)
    try:
        _until_it_reads(process, log)
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_S) == 0, f"the witness failed: {log.read_text()}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _until_it_reads(process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + BEGIN_S
    while "witnessing" not in log.read_text():
        assert process.poll() is None and time.monotonic() < deadline, f"no witness: {log.read_text()}"
        time.sleep(POLL_S)


def judge(servers: str, folder: Path, faults: Mapping[str, Mapping[str, int]]) -> Verdict:
    """What `tessera verify` finds broken, with examples; nothing when every invariant is held.

    Aborted records must be there where faults were planned that abort transactions.
    """
    aborts = bool(faults.get("abort", {}).get("planned"))
    (folder / "faults.json").write_text(json.dumps(faults))
    files = ("plan.jsonl", "faults.json", "witness.jsonl", "resources.jsonl")
    given = [word for name in files for word in (f"--{name.partition('.')[0]}", str(folder / name))]
    words = ["verify", "--complete", *["--expect-aborts"] * aborts, *given, "--examples", EXAMPLES, "--json"]
    checked = subprocess.run(
        [sys.executable, "-m", "workers", *words],
        cwd=ROOT,
        env=environment(servers),
        capture_output=True,
        text=True,
        timeout=VERIFY_S,
        check=False,
    )
    (folder / "verify.json").write_text(checked.stdout + checked.stderr)
    assert checked.returncode in (CLEAN, FINDING), f"the checker cannot tell: {checked.stderr}"
    rows = [json.loads(line) for line in checked.stdout.splitlines()]
    broken = [f"{row['id']}: {text}" for row in rows if row.get("state") == "broken" for text in row["examples"]]
    excused = {NO_LEDGER_YET} if aborts else {NO_LEDGER_YET, ABORTS}
    unseen = [row["id"] for row in rows if row.get("state") == "not checked" and row["id"] not in excused]
    waste = next(row["counts"] for row in rows if row.get("id") == WASTE)
    return Verdict(broken + [f"{id_}: was not checked" for id_ in unseen], waste)
