"""The body of an answer: read no further than what was asked for can need, and parsed without holding up the loop."""

import asyncio
import json
from functools import partial
from typing import Any

import httpx

from workers.errors import EngineUnavailable

BYTES_OF_TOKEN = 256  # a scored token has about 70
BYTES_OF_NUMBER = 32  # a float64 has at most 25, blank and comma included
BYTES_BESIDE = 64 << 10  # of what stands around tokens and numbers, and of a refusal
PARSED_AT_ONCE = 256 << 10  # bytes; more than an ordinary auction's answer, and a few milliseconds
MAX_SHOWN = 300  # characters of an answer in a message


class Unusable(EngineUnavailable):
    """The server answered, but not with what was asked for."""


def most_bytes(*, tokens: int = 0, numbers: int = 0) -> int:
    """How long an answer about that many tokens and numbers may be."""
    return BYTES_BESIDE + BYTES_OF_TOKEN * tokens + BYTES_OF_NUMBER * numbers


async def read_body(response: httpx.Response, limit_bytes: int) -> bytes:
    """All of it, as sent. Unusable: it has more than `limit_bytes`."""
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > limit_bytes:
            raise Unusable(f"an answer has more than {limit_bytes} bytes, which what was asked for does not need")
    return bytes(content)


async def parsed(content: bytes) -> Any:
    """The JSON document. Unusable: it is none."""
    try:
        if len(content) <= PARSED_AT_ONCE:
            return json.loads(content)
        return await asyncio.to_thread(_parse_beside_others, content)
    except (ValueError, RecursionError):
        raise Unusable(f"an answer is not JSON: {shown(content)}") from None


def shown(content: bytes) -> str:
    """The message of an error as vLLM writes it, or the beginning of what is there, on one line."""
    try:
        text = json.loads(content)["error"]["message"]
    except (ValueError, RecursionError, TypeError, LookupError):
        text = content[: 4 * MAX_SHOWN].decode(errors="replace")
    return one_line(str(text))


def one_line(text: str) -> str:
    """A stranger's text as it may stand in a message: the beginning, nothing in it that a terminal would obey."""
    line = " ".join(text[: 4 * MAX_SHOWN].split())
    return "".join(one if one.isprintable() else "?" for one in line)[:MAX_SHOWN] or "(nothing)"


def _number(text: str) -> float:
    """As a function in Python, between whose calls other threads run: json's own loop in C lets none in."""
    return float(text)


_parse_beside_others = partial(json.loads, parse_float=_number)
