"""Which headers are judged: CloudEvents' and ours. All others are bytes, whatever is in them, and travel along."""

from schemas.dead_letter import PREFIX
from schemas.payload import BadRecord
from schemas.reasons import DeadLetterReason
from schemas.record import MOST_HEADERS, Headers, too_many_headers

BARE_HEADERS = ("content-type", "traceparent")
MAX_ATTRIBUTE_CHARACTERS = 1_024
MOST_OTHERS, MOST_OTHERS_BYTES = 64, 8 * 1024  # headers of others that travel along with a query to its reply


def bad_headers(message: str) -> BadRecord:
    return BadRecord(DeadLetterReason.BAD_HEADERS, message)


def our_headers(headers: Headers) -> dict[str, str]:
    """Context attributes by name. BadRecord: one of them is not UTF-8 or too long, or there are too many headers."""
    if len(headers) > MOST_HEADERS:
        raise bad_headers(too_many_headers(len(headers)))
    found: dict[str, str] = {}
    for name, value in headers:
        if _is_ours(name) and value:
            found[name.removeprefix("ce_")] = _text(name, value)
    return found


def headers_of_others(headers: Headers) -> Headers:
    """The headers that travel along: those of others, all or, where they are too large, none."""
    found = tuple(pair for pair in headers if not _is_ours(pair[0]) and not pair[0].startswith(PREFIX))
    sizes = (len(name) + len(value or b"") for name, value in found)
    return found if len(found) <= MOST_OTHERS and sum(sizes) <= MOST_OTHERS_BYTES else ()


def _is_ours(name: str) -> bool:
    return name.startswith("ce_") or name in BARE_HEADERS


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
        name.encode()
    except UnicodeError:
        raise bad_headers(f"header {name!a} is not UTF-8") from None
    if len(text) > MAX_ATTRIBUTE_CHARACTERS:
        raise bad_headers(f"header {name!r} has more than {MAX_ATTRIBUTE_CHARACTERS} characters")
    return text
