"""Where a process meets its surroundings: streams that are closed or full or gone, locales, bytes, signals."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from schemas.topics import CHARGED
from tests.support.worker_process import environment, tessera

COMMAND = [sys.executable, "-m", "workers"]
SECONDS = 120
LOCAL_FLAGS = 3  # their place in what `termios.tcgetattr` gives
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"  # the cursor
CAFE = "Which café – or ‘boulangerie’ – bakes 東京 bread?"
OVEN = {"advertiser_id": "oven", "name": "OvenNest", "description": "selling ovens", "value_micros_per_nat": 1_500}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of one auction, and one whose bill is a micro too high."""
    here = tmp_path_factory.mktemp("edges")
    asked = {"query_id": "cafe", "text": CAFE, "advertising_consent": True, "advertisers": [OVEN]}
    (here / "queries.jsonl").write_text(json.dumps(asked) + "\n")
    lines = tessera("demo", "--json", "--queries", str(here / "queries.jsonl")).stdout
    (here / "log.jsonl").write_bytes(lines)
    events = [json.loads(line) for line in lines.splitlines()]
    next(one for one in events if one["type"] == CHARGED.name)["data"]["charge_micros"] += 1
    (here / "wrong.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in events))
    return here


def run(
    arguments: Sequence[str | bytes], env: Mapping[str, str] | None = None, **streams: int
) -> "subprocess.CompletedProcess[bytes]":
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    whole = {**environment("127.0.0.1:1"), **(env or {})}
    return subprocess.run([*COMMAND, *arguments], env=whole, timeout=SECONDS, check=False, **given)  # type: ignore[call-overload,no-any-return]


def named(folder: Path, arguments: str) -> list[str]:
    return [str(folder / one) if one.endswith(".jsonl") else one for one in arguments.split()]


# A reader that is gone

PRINTING = (
    "audit wrong.jsonl",
    "audit wrong.jsonl --json",
    "explain cafe --from log.jsonl",
    "settle log.jsonl",
    "explain cafe --from log.jsonl --html /dev/stdout",
    "principals show",
    "keys new",
    "--help",
)


@pytest.mark.parametrize("arguments", PRINTING)
def test_a_closed_pipe_exits_with_141_and_not_as_a_discrepancy(folder: Path, arguments: str) -> None:
    """Exit code 1 is a discrepancy, and 2 says that somebody must act: neither is true of `| head`."""
    reading, writing = os.pipe()
    os.close(reading)

    done = run(named(folder, arguments), stdout=writing)
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")


def test_a_closed_standard_error_pipe_exits_with_141_too() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = run(["audit", "/nowhere/at/all"], stderr=writing)
    os.close(writing)

    assert (done.returncode, done.stdout) == (141, b"")


# Streams that are closed


@pytest.mark.parametrize(
    ("closing", "arguments", "code"),
    [
        (">&-", "audit wrong.jsonl", 1),
        (">&-", "principals show", 0),
        ("2>&-", "audit nowhere", 2),
        ("<&-", "audit -", 2),
        ("<&- >&- 2>&-", "audit wrong.jsonl", 1),
    ],
)
def test_a_closed_stream_changes_no_exit_code(folder: Path, closing: str, arguments: str, code: int) -> None:
    command = " ".join([*COMMAND, *named(folder, arguments), closing])

    done = subprocess.run(
        ["bash", "-c", command], env=environment("127.0.0.1:1"), capture_output=True, timeout=SECONDS, check=False
    )

    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr


def test_output_to_a_closed_stream_reaches_no_file_opened_meanwhile(folder: Path) -> None:
    receipt = folder / "receipt.html"
    arguments = ["explain", "cafe", "--from", str(folder / "log.jsonl"), "--html", str(receipt)]
    command = " ".join([*COMMAND, *arguments, ">&-"])

    done = subprocess.run(["bash", "-c", command], env=environment("127.0.0.1:1"), timeout=SECONDS, check=False)

    assert done.returncode == 0
    assert receipt.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert receipt.read_text(encoding="utf-8").rstrip().endswith("</html>")


# Locales and bytes

LOCALES = {
    "latin-1": {"PYTHONIOENCODING": "iso-8859-1", "LC_ALL": "en_US.ISO-8859-1"},
    "ascii": {"PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C"},
    "C without Python's UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("locale", LOCALES.values(), ids=LOCALES)
def test_no_locale_causes_a_traceback_and_json_is_always_utf_8(folder: Path, locale: dict[str, str]) -> None:
    log = str(folder / "log.jsonl")

    people = run(["explain", "cafe", "--from", log], locale)
    programs = [run(["explain", "cafe", "--from", log, "--json"], locale), run(["settle", log], locale)]

    for done in (people, *programs):
        assert (done.returncode, done.stderr) == (0, b"")
    assert b"boulangerie" in people.stdout
    assert json.loads(programs[0].stdout.decode("utf-8"))["question"]["text"] == CAFE
    assert all(json.loads(line.decode("utf-8")) for line in programs[1].stdout.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [[b"ask", b"caf\xe9"], [b"audit", b"/nowhere/\xff"], [b"\xff"], [b"demo", b"--engine=\xff"]],
)
def test_an_argument_that_is_not_utf_8_is_reported(arguments: list[bytes]) -> None:
    done = run(arguments)

    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"\\xff" in done.stderr or b"\\xe9" in done.stderr


def test_a_setting_that_is_not_utf_8_is_named() -> None:
    done = run(["demo", "--limit", "1"], {"TESSERA_CURRENCY": os.fsdecode(b"\xff")})

    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert done.stderr.startswith(b"tessera: TESSERA_CURRENCY: ")


def test_a_file_may_have_any_name(folder: Path) -> None:
    name = os.fsencode(folder) + b"/caf\xe9.jsonl"
    Path(os.fsdecode(name)).write_bytes((folder / "log.jsonl").read_bytes())

    assert run([b"audit", name]).returncode == 0
    assert run([b"explain", b"cafe", b"--from=" + name]).returncode == 0


# Signals

TOLD_WHILE_IMPORTING = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), {signal})
sys.meta_path.insert(0, Finder())
sys.argv = ["tessera", *{arguments}]
from workers.start import main
main()
"""


@pytest.mark.parametrize(
    ("told", "arguments", "code"),
    [
        (signal.SIGTERM, ["run", "settlement"], 0),
        (signal.SIGTERM, ["prove"], -signal.SIGTERM),
        (signal.SIGINT, ["run", "settlement"], 130),
        (signal.SIGINT, ["prove"], 130),
    ],
)
def test_a_process_that_still_imports_stops_on_sigterm(told: signal.Signals, arguments: list[str], code: int) -> None:
    program = TOLD_WHILE_IMPORTING.format(signal=int(told), arguments=arguments)

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment("127.0.0.1:1"),
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )

    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.parametrize(("arguments", "code"), [(["run", "settlement"], 0), (["prove"], 143)])
def test_process_1_hears_sigterm_while_it_imports(arguments: list[str], code: int) -> None:
    """The kernel drops signals that it has no handler for."""
    own = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*own, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets no process begin a namespace of process ids")
    program = TOLD_WHILE_IMPORTING.format(signal=int(signal.SIGTERM), arguments=arguments)

    done = subprocess.run(
        [*own, sys.executable, "-c", program],
        env=environment("127.0.0.1:1"),
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )

    assert (done.returncode, done.stderr) == (code, b"")


def test_two_interrupts_on_a_terminal_are_one_line_and_130() -> None:
    """Whoever presses Ctrl-C presses it twice. Once in a loop of numbers, once while Kafka does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent, ExitStack() as connections:
        silent.settimeout(SECONDS)
        kafka = f"127.0.0.1:{silent.getsockname()[1]}"
        ended = [
            interrupted_twice(["prove", "--auctions", "1000000"], kafka, lambda terminal: os.read(terminal, 1)),
            interrupted_twice(
                ["ask", "Hello?", "--timeout", "60"], kafka, lambda _: connections.enter_context(silent.accept()[0])
            ),
        ]

    for code, shown in ended:
        assert code == 130, shown
        assert "Traceback" not in shown
        assert shown.count("tessera: interrupted") == 1


INTERRUPTED_WITHIN = """
import os, signal, sys
sys.argv = ["tessera", "prove"]
from workers.cli import main
{place}
before = {what}
def interrupted(*arguments):
    {what} = before
    os.kill(os.getpid(), signal.SIGINT)
    return before(*arguments)
{what} = interrupted
{then}
main()
"""
INTERRUPTS = {
    "a second one before the first is told": (
        "import workers.cli.prove",
        "signal.signal",
        "workers.cli.prove._trials = lambda *_: os.kill(os.getpid(), signal.SIGINT)",
    ),
    "while a display of progress begins": ("from rich.live import Live", "Live._enable_redirect_io", ""),
    "while a display of progress ends": (
        "from rich.live import Live\nimport workers.cli.prove",
        "Live._disable_redirect_io",
        "workers.cli.prove.run = lambda *_: []",
    ),
}


@pytest.mark.parametrize(("place", "what", "then"), INTERRUPTS.values(), ids=INTERRUPTS)
def test_an_interrupt_at_a_bad_moment_is_one_line_and_130_and_leaves_a_cursor(place: str, what: str, then: str) -> None:
    program = INTERRUPTED_WITHIN.format(place=place, what=what, then=then)

    code, shown = on_a_terminal([sys.executable, "-c", program], "127.0.0.1:1", lambda _: None)

    assert (code, shown.count("tessera: interrupted")) == (130, 1), shown
    assert "Traceback" not in shown
    assert shown.rfind(SHOWN) >= shown.rfind(HIDDEN)


def interrupted_twice(arguments: Sequence[str], kafka: str, until_at_work: Callable[[int], object]) -> tuple[int, str]:
    """Exit code, and what the terminal showed behind the interrupts."""

    def interrupt(terminal: int) -> None:
        until_at_work(terminal)
        os.write(terminal, b"\x03")
        os.write(terminal, b"\x03")

    return on_a_terminal([*COMMAND, *arguments], kafka, interrupt)


def on_a_terminal(command: Sequence[str], kafka: str, act: Callable[[int], object]) -> tuple[int, str]:
    """Exit code, and what the terminal showed once `act` was done with it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*command], {**environment(kafka), "TERM": "xterm"})  # noqa: S606
    _keep_what_is_shown(terminal)
    shown = b""
    try:
        act(terminal)
        while chunk := _read(terminal):
            shown += chunk
    finally:
        os.close(terminal)  # it hangs up on whoever has not ended
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")


def _keep_what_is_shown(terminal: int) -> None:
    """By default an interrupt discards what is on its way to the terminal: the line about the interrupt before it."""
    settings = termios.tcgetattr(terminal)
    settings[LOCAL_FLAGS] |= termios.NOFLSH
    termios.tcsetattr(terminal, termios.TCSANOW, settings)


def _read(terminal: int) -> bytes:
    assert select.select([terminal], [], [], SECONDS)[0], f"nothing for {SECONDS} s"
    try:
        return os.read(terminal, 65_536)
    except OSError:  # EIO: the process has ended
        return b""
