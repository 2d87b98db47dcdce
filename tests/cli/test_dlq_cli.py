"""`tessera dlq` without a broker: what it is given is checked first, and what it prints cannot move a cursor."""

import asyncio
import io
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from schemas.dead_letter import dead_letter
from schemas.letter import DeadLetter
from schemas.reasons import DeadLetterReason as Reason
from schemas.record import Record
from schemas.topics import QUERIES
from tests.cli.test_commands import refused
from tests.support.forked_command import tessera
from workers.cli import dead_letter_view
from workers.cli.dlq import _print, moment
from workers.errors import TesseraError

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
DLQ = QUERIES.dead_letters


def letter_of(value: bytes | None, key: bytes | None = b"q", message: str = "why not") -> DeadLetter:
    made = dead_letter(Record(QUERIES.name, key, value, (("x", b"1"),)), "generation", Reason.BAD_JSON, message)
    return DeadLetter(Record(made.topic, made.key, made.value, made.headers, 0, 17))


def whole(letter: DeadLetter) -> str:
    return "\n".join(dead_letter_view.whole(letter))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("30s", AT - timedelta(seconds=30)),
        ("15m", AT - timedelta(minutes=15)),
        ("2h", AT - timedelta(hours=2)),
        ("7d", AT - timedelta(days=7)),
        ("2026-11-24T08:00:00Z", AT - timedelta(hours=4)),
        ("2026-11-24T08:00:00+02:00", AT - timedelta(hours=6)),
    ],
)
def test_since_accepts_an_age_or_a_time(text: str, wanted: datetime) -> None:
    assert moment(text, AT) == wanted


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "1.5h", "2H", "yesterday", "2026-11-24", "2026-11-24T08:00:00"])
def test_since_refuses_everything_else(text: str) -> None:
    with pytest.raises(TesseraError, match="neither an age"):
        moment(text, AT)


def test_an_age_before_all_times_is_refused() -> None:
    with pytest.raises(TesseraError, match="before all times"):
        moment("999999d", AT)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "--topic", QUERIES.name], f"those of its readers are in {DLQ}"),
        (["list", "--topic", "shop.orders.dlq"], "there is no dead-letter topic 'shop.orders.dlq'"),
        (["list", "--since", "yesterday"], "neither an age"),
        (["show", f"{DLQ}/0"], "expected TOPIC/PARTITION/OFFSET"),
        (["show", f"{QUERIES.name}/0/1"], "holds no dead letters"),
        (["redrive"], "name the dead letters to redrive"),
        (["redrive", "--reason", "EXPIRED"], "or give --all"),
        (["redrive", f"{DLQ}/0/1", "--all"], "name the dead letters to redrive"),
        (["redrive", f"{DLQ}/x/1"], "expected TOPIC/PARTITION/OFFSET"),
        (["list"], "no Kafka broker answers at 127.0.0.1:1"),
        (["show", f"{DLQ}/0/1"], "no Kafka broker answers at 127.0.0.1:1"),
        (["redrive", f"{DLQ}/0/1"], "no Kafka broker answers at 127.0.0.1:1"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(arguments: list[str], says: str) -> None:
    done = tessera("dlq", *arguments)

    assert says in refused(done)
    assert len(done.stderr.splitlines()) == 1 and not done.stdout


def test_an_unknown_reason_is_refused_with_those_that_there_are() -> None:
    done = tessera("dlq", "list", "--reason", "BAD_LUCK")

    assert done.returncode == 2
    assert b"BAD_LUCK" in done.stderr and b"ENGINE_REJECTED" in done.stderr


def test_text_is_shown_as_it_is_and_anything_else_as_a_dump() -> None:
    text = '{\n\t"text": "é🌱"\n}'
    assert f"value, 21 bytes:\n{text}" in whole(letter_of(text.encode()))
    dump = whole(letter_of(b"A\x00\xff" + bytes(600)))
    assert "00000000  41 00 ff 00" in dump and "  A..............." in dump
    assert "000001f0" in dump and "00000200" not in dump
    assert "(91 more bytes; --value FILE writes them all)" in dump
    assert "no value" in whole(letter_of(None, key=None)) and "key: (none)" in whole(letter_of(None, key=None))


def test_a_long_text_is_cut_and_says_so() -> None:
    shown = whole(letter_of(b"a" * 20_000))

    assert "a" * 16_384 in shown and "a" * 16_385 not in shown
    assert "(3,616 more bytes; --value FILE writes them all)" in shown


def test_a_long_key_is_cut_and_says_so() -> None:
    letter = letter_of(b"{}", b"k" * 100_000)

    assert len(dead_letter_view.row(letter).query_id) == dead_letter_view.MESSAGE_CHARACTERS
    assert "k" * 16_384 in whole(letter) and "k" * 16_385 not in whole(letter)
    assert "(83,616 more characters)" in whole(letter)


def test_a_dead_letter_whose_bytes_changed_is_reported() -> None:
    letter = letter_of(b"{}")
    changed = DeadLetter(Record(DLQ, b"q", b"[]", letter.record.headers))

    assert "NOT the bytes that were refused" in whole(changed)
    assert "NOT the bytes" not in whole(letter)


@given(st.text(), st.text(), st.text() | st.binary())
def test_no_text_of_a_dead_letter_moves_the_cursor(message: str, key: str, value: str | bytes) -> None:
    raw = value if isinstance(value, bytes) else value.encode(errors="replace")
    letter = letter_of(raw, key.encode(errors="replace"), message.encode(errors="replace").decode())

    row = dead_letter_view.row(letter)

    assert all(one.isprintable() or one in "\n\t" for one in whole(letter))
    assert all(cell.isprintable() for cell in (row.reason, row.source, row.query_id, row.message))


@pytest.mark.parametrize("width", [60, 280])
def test_an_offset_reference_can_be_copied_from_any_terminal(width: int) -> None:
    letter = letter_of(b"{}", b"0d6b8f2e-1111-2222-3333-444455556666", "long " * 50)
    rows, console = [dead_letter_view.row(letter)] * 2, Console(width=width, file=io.StringIO())

    for shown in (dead_letter_view.table(rows),) if width == 280 else dead_letter_view.blocks(rows):
        console.print(shown)

    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    assert text.count(f"{DLQ}/0/17 ") == 2 and "BAD_JSON 1" in text and f"{QUERIES.name}/0/0" in text
    assert width == 60 or [line for line in text.splitlines() if "long" in line and DLQ not in line] == []


def test_totals_count_what_the_table_leaves_out() -> None:
    reasons = Counter({"BAD_JSON": 2, "EXPIRED": 1})

    assert dead_letter_view.totals(reasons, 3) == "3 dead letters: 2 BAD_JSON, 1 EXPIRED"
    assert dead_letter_view.totals(reasons, 1).endswith("the newest 1 are shown, see --limit")
    assert dead_letter_view.totals(Counter(), 0) == "no dead letter matches"


async def test_a_list_that_nobody_reads_on_closes_what_it_reads_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tessera dlq list --json | head -1`: what is left open when the loop ends is a traceback for each generator."""
    closed: list[str] = []

    async def letters() -> AsyncGenerator[DeadLetter, None]:
        try:
            yield letter_of(b"{")
        finally:
            await asyncio.sleep(0)
            closed.append("reader")

    def nobody_reads(_: bytes) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("workers.cli.dlq.click.echo", nobody_reads)

    with pytest.raises(BrokenPipeError):
        await _print(letters(), None, as_json=True)

    assert closed == ["reader"]
