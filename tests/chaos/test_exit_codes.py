"""Programs of this folder end with a code that says why, and SIGTERM lets them end what they have started."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.ending import FINDING, INTERRUPTED, end, write_report

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0


@pytest.mark.parametrize(("has_found", "code"), [(False, 0), (True, FINDING)])
def test_the_exit_code_tells_of_findings(has_found: bool, code: int) -> None:
    with pytest.raises(SystemExit) as exited:
        end(has_found=has_found)

    assert exited.value.code == code


def test_writing_a_report_creates_its_folder(tmp_path: Path) -> None:
    write_report(tmp_path / "new" / "report.md", "# Chaos\n")

    assert (tmp_path / "new" / "report.md").read_text() == "# Chaos\n"


def test_sigterm_ends_the_child_processes() -> None:
    program = """
import time
from tests.chaos.ending import end_on_sigterm
end_on_sigterm()
try:
    print("ready", flush=True)
    time.sleep(60)
finally:
    print("cleaned up", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        told, _ = child.communicate(timeout=LIMIT_S)

    assert (told, child.returncode) == ("cleaned up\n", INTERRUPTED)
