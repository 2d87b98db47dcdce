"""How dead letters look to a person: a row each, or one whole. What could move a cursor is escaped."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from schemas.dead_letter import PREFIX, Header
from schemas.letter import DeadLetter
from schemas.record import Headers
from workers.cli.visible import visible

MESSAGE_CHARACTERS = 80
SHOWN_CHARACTERS = 16_384
DUMPED_BYTES = 512
DUMP_WIDTH = 16
PRINTED = "\n\t"


@dataclass(frozen=True)
class DeadLetterRow:
    """What the table shows of a dead letter; its value is not kept."""

    letter: str
    when: str
    stage: str
    reason: str
    source: str
    query_id: str
    size_bytes: int
    redrives: int
    message: str


def row(letter: DeadLetter) -> DeadLetterRow:
    return DeadLetterRow(
        letter=str(letter.place),
        when=f"{letter.record.time:%Y-%m-%d %H:%M:%S}",
        stage=visible(letter.stage or "?"),
        reason=visible(f"{letter.reason or '?'} {letter.code}"),
        source=visible(str(letter.source or "?")),
        query_id=visible(_shortened(letter.query_id or "")),
        size_bytes=len(letter.record.value or b""),
        redrives=letter.redrives,
        message=visible(_shortened(letter.message)),
    )


def table(rows: Iterable[DeadLetterRow]) -> Table:
    """One line each, in the order given; for pipes and wide terminals."""
    made = Table("letter", "when (UTC)", "stage", "reason", "refused record", "query", box=box.SIMPLE_HEAD)
    made.add_column("bytes", justify="right")
    for name in ("redriven", "message"):
        made.add_column(name)
    for one in rows:
        cells = (one.letter, one.when, one.stage, one.reason, one.source, one.query_id, f"{one.size_bytes:,}")
        made.add_row(*(Text(cell, overflow="fold") for cell in (*cells, _times(one.redrives), one.message)))
    return made


def blocks(rows: Iterable[DeadLetterRow]) -> Iterator[Text]:
    """Three lines each, in the order given, so that a narrow terminal keeps every place in one piece."""
    for one in rows:
        text = Text(one.letter, style="bold").append(f"  {one.reason}", style="red")
        text.append(f"\n  {one.when} UTC by {one.stage}", style="not bold")
        text.append(f", {one.size_bytes:,} bytes, query {one.query_id or '?'}", style="not bold")
        again = f", redriven {_times(one.redrives)}" if one.redrives else ""
        text.append(f"\n  from {one.source}{again}: {one.message}", style="not bold")
        yield text


def totals(reasons: Counter[str], shown: int) -> str:
    """How many dead letters of each reason there are, and how many of them the table shows."""
    count = reasons.total()
    if not count:
        return "no dead letter matches"
    parts = ", ".join(f"{number:,} {visible(reason or '?')}" for reason, number in reasons.most_common())
    rest = f"; the newest {shown:,} are shown, see --limit" if shown < count else ""
    return f"{count:,} dead {'letter' if count == 1 else 'letters'}: {parts}{rest}"


def whole(letter: DeadLetter) -> Iterator[str]:
    """The lines of one dead letter: why, headers, key and value."""
    record = letter.record
    yield f"{letter.place}, {record.time:%Y-%m-%d %H:%M:%S} UTC"
    yield f"{visible(letter.reason or '?')}: {visible(letter.message)}"
    yield ""
    yield from _headers([pair for pair in record.headers if pair[0].startswith(PREFIX)])
    yield ""
    yield "headers of the refused record:" if letter.original_headers else "the refused record has no headers"
    yield from _headers(letter.original_headers)
    yield ""
    yield f"key: {_shown(record.key)}"
    yield from _value(letter)


def _headers(pairs: Headers | Sequence[tuple[str, bytes | None]]) -> Iterator[str]:
    width = max((len(visible(name)) for name, _ in pairs), default=0)
    for name, value in pairs:
        yield f"  {visible(name):{width}}  {_shown(value)}"


def _shown(value: bytes | None) -> str:
    if value is None:
        return "(none)"
    try:
        text = value.decode()
        rest = f" ({len(text) - SHOWN_CHARACTERS:,} more characters)" if len(text) > SHOWN_CHARACTERS else ""
        return visible(text[:SHOWN_CHARACTERS]) + rest
    except UnicodeDecodeError:
        return f"(not UTF-8) {value[:DUMPED_BYTES].hex(' ')}"


def _value(letter: DeadLetter) -> Iterator[str]:
    value = letter.record.value
    if value is None:
        yield "no value"
        return
    yield f"value, {len(value):,} bytes{_how_whole(letter)}:"
    if (text := _printable(value)) is None:
        yield from _dump(value[:DUMPED_BYTES])
        shown = min(len(value), DUMPED_BYTES)
    else:
        yield text[:SHOWN_CHARACTERS]
        shown = len(text[:SHOWN_CHARACTERS].encode())
    if shown < len(value):
        yield f"({len(value) - shown:,} more bytes; --value FILE writes them all)"


def _how_whole(letter: DeadLetter) -> str:
    if letter.is_batch:
        return ", a packed batch as Kafka stores it"
    if letter.kept_bytes is not None:
        return f", the beginning of the {letter.headers.get(Header.VALUE_BYTES, '?')} that were refused"
    return "" if letter.is_whole else "; NOT the bytes that were refused, their SHA-256 differs"


def _printable(value: bytes) -> str | None:
    """The value as text, if a terminal shows all of it as it is."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if all(one.isprintable() or one in PRINTED for one in text) else None


def _dump(value: bytes) -> Iterator[str]:
    for at in range(0, len(value), DUMP_WIDTH):
        part = value[at : at + DUMP_WIDTH]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"  {at:08x}  {part.hex(' '):{3 * DUMP_WIDTH - 1}}  {text}"


def _times(count: int) -> str:
    return f"{count} times" if count > 1 else "once" if count else ""


def _shortened(text: str) -> str:
    return text if len(text) <= MESSAGE_CHARACTERS else f"{text[: MESSAGE_CHARACTERS - 1]}…"
