"""What a stranger wrote moves no cursor, turns no writing, sets no clipboard and passes for no line of ours."""

import json
import os
import pty
import subprocess
import sys
from io import StringIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.record import Record
from tests.support.forked_command import tessera
from tests.support.worker_process import environment
from workers.cli import render
from workers.cli.console import Console
from workers.cli.visible import Visible, indented, visible
from workers.receipts.query_result import Terminal

CLIPBOARD = "\x1b]52;c;cm0gLXJmIC8=\x07"
HOSTILE = {
    "clipboard": (CLIPBOARD, "\\x1b]52;c;cm0gLXJmIC8=\\x07"),
    "colour": ("\x1b[31m", "\\x1b[31m"),
    "title": ("\x1b]0;root\x1b\\", "\\x1b]0;root\\x1b"),
    "eight-bit control": ("\x9b2J\x9d52;c;aaaa\x9c", "\\x9b2J\\x9d52;c;aaaa\\x9c"),
    "override of the direction": ("\u202egpj.exe\u202c", "\\u202egpj.exe\\u202c"),
    "isolate": ("\u2067abc\u2069", "\\u2067abc\\u2069"),
    "carriage return": ("kept\rgone", "kept\\rgone"),
    "backspace": ("kept\x08\x08", "kept\\x08\\x08"),
    "another line end": ("a\u2028b\x85c\x0bd", "a\\u2028b\\x85c\\x0bd"),
    "tags": ("\U000e0041", "\\U000e0041"),
    "half a character": ("\udcff", "\\udcff"),
}
QUESTION = "How do I bake?" + "".join(hostile for hostile, _ in HOSTILE.values() if "\udcff" not in hostile)
QUERY = {
    "query_id": "hostile-1",
    "text": QUESTION,
    "advertising_consent": True,
    "advertisers": [
        {"advertiser_id": "oven", "name": "OvenNest", "description": "selling ovens", "value_micros_per_nat": 1_500}
    ],
}


def assert_harmless(shown: str) -> None:
    """Nothing that a terminal obeys but lines and tabs."""
    assert [one for one in shown if not (one.isprintable() or one in "\n\t")] == []


@pytest.mark.parametrize(("hostile", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_terminal_control_characters_are_shown_escaped(hostile: str, shown: str) -> None:
    assert shown in visible(hostile)
    table = Table("who", hostile, title=hostile, box=None)
    table.add_row(hostile, Text(f"says {hostile}"))
    console = Console(file=StringIO(), width=200)

    console.print(hostile, table, Text(hostile), Group(hostile), Padding(hostile, 1), sep="\n")

    assert_harmless(console.file.getvalue())  # type: ignore[attr-defined]


def test_text_of_any_script_stays_as_it_is() -> None:
    texts = "crème brûlée", "می‌خواهم", "👩‍👩‍👧", "שלום", "東京", "क्‍ष", "tab\tand\nline"
    console = Console(file=StringIO(), width=200)

    console.print(*texts, sep="\n")

    assert all(text.expandtabs(8) in console.file.getvalue() for text in texts)  # type: ignore[attr-defined]


def test_markup_in_foreign_text_is_shown_as_text() -> None:
    console = Console(file=StringIO(), width=80, force_terminal=True)
    table = Table(box=None, show_header=False)
    table.add_row("[link=http://evil.example]Nest[/link] [/] :skull:")

    console.print(table)

    assert "[link=http://evil.example]Nest[/link] [/] :skull:" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_style_around_what_is_escaped_stays() -> None:
    console = Console(file=StringIO(), width=80, force_terminal=True, color_system="standard")

    console.print(Text.assemble(("before\x1bafter", "red")))

    assert console.file.getvalue() == "\x1b[31mbefore\x1b[0m\\x1b\x1b[31mafter\x1b[0m\n"  # type: ignore[attr-defined]


def test_a_message_of_several_lines_cannot_forge_our_output() -> None:
    assert indented("no such id\ntessera: everything is right") == "no such id\n  tessera: everything is right"


def test_a_refusals_message_stays_on_one_line() -> None:
    headers = (("dlq.reason", b"BAD_JSON"), ("dlq.message", b"x)\n\x1b[2Jall is well"))
    found = Terminal("q-1", dead_letter=Record("t", b"q-1", b"", headers))
    console = Console(file=StringIO(), width=200)

    console.print(render.terminal(QUESTION, found))

    output = console.file.getvalue()  # type: ignore[attr-defined]
    assert "refused: BAD_JSON (x)\\n\\x1b[2Jall is well)" in output
    assert_harmless(output)


def test_standard_error_shows_tracebacks_and_log_lines_too() -> None:
    with TemporaryFile() as file:
        stream = Visible(TextIOWrapper(file, "iso-8859-1"))
        stream.write(f"Traceback: {CLIPBOARD}\nValueError: → é\n")

        file.seek(0)
        assert file.read() == b"Traceback: \\x1b]52;c;cm0gLXJmIC8=\\x07\nValueError: \\u2192 \xe9\n"


# The commands


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One auction whose question is hostile, as `tessera demo --json` prints it."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "queries.jsonl").write_text(json.dumps(QUERY) + "\n")
    done = tessera("demo", "--json", "--queries", str(folder / "queries.jsonl"))
    assert done.returncode == 0, done.stderr.decode()
    (folder / "log.jsonl").write_bytes(done.stdout)
    (folder / "broken.jsonl").write_bytes(done.stdout.replace(b'"outcome"', b'"\xc2\x9b2J\xe2\x80\xae"'))
    return folder / "log.jsonl"


def on_a_terminal(*arguments: str, kafka: str = "127.0.0.1:1") -> tuple[int, str]:
    """Exit code and all that a terminal gets, standard output and error together."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "workers", *arguments]
    env = {**environment(kafka), "TERM": "xterm-256color", "COLUMNS": "120"}
    with subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    return process.returncode, shown.decode(errors="replace")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # EIO: nobody writes any more
        return b""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["explain", "hostile-1", "--from", "LOG"], 0),
        (["explain", "hostile-1", "--from", "BROKEN"], 2),
        (["audit", "LOG"], 0),
        (["audit", "BROKEN"], 2),
        (["demo", "--queries", "QUERIES"], 0),
        (["explain", CLIPBOARD + "\u202e\ntessera: all is well", "--from", "LOG"], 2),
    ],
    ids=["explain", "explain a broken log", "audit", "audit a broken log", "demo", "an id that is hostile itself"],
)
def test_no_command_sends_foreign_control_characters_to_a_terminal(
    log: Path, arguments: list[str], expected: int
) -> None:
    files = {"LOG": log, "BROKEN": log.parent / "broken.jsonl", "QUERIES": log.parent / "queries.jsonl"}

    code, shown = on_a_terminal(*(str(files.get(one, one)) for one in arguments))

    assert code == expected, shown
    for hostile, _ in HOSTILE.values():
        assert hostile not in shown
    assert not set(shown) & set("\x07\x08\x9b\x9d\u202e\u2067\u2028\x0b\x85")
    assert "\x1b]" not in shown and "\ntessera: all is well" not in shown


def test_json_output_keeps_control_characters_as_json_escapes(log: Path) -> None:
    done = tessera("explain", "hostile-1", "--from", str(log), "--json")

    assert json.loads(done.stdout)["question"]["text"] == QUESTION
