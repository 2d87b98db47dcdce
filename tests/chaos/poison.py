"""Records that can never become an auction: more than sixty kinds, each with the reason it has to be refused for."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from gzip import compress
from typing import Any

from schemas.reasons import DeadLetterReason as Reason
from schemas.topics import MEBIBYTE

Headers = tuple[tuple[str, bytes], ...]
Body = dict[str, Any]
DEPTH = 50_000
PAST, BEYOND = "2020-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"


@dataclass(frozen=True)
class Poison:
    """One kind. `make` gets a good body of its own and gives the bytes of the value."""

    name: str
    reason: Reason
    make: Callable[[Body], bytes | None]
    headers: Headers = ()
    key: bytes | None = None


def _json(body: Body) -> bytes:
    return json.dumps(body).encode()


def changed(**fields: object) -> Callable[[Body], bytes]:
    """The body with other fields; None takes one out."""
    return lambda body: _json({name: value for name, value in {**body, **fields}.items() if value is not None})


def bidder(**fields: object) -> Callable[[Body], bytes]:
    """The first advertiser with other fields."""
    return lambda body: _json({**body, "advertisers": [{**body["advertisers"][0], **fields}]})


def number(text: str) -> Callable[[Body], bytes]:
    """A number that JSON has no word for, or only just."""
    return lambda body: bidder(value_micros_per_nat=77_777_777)(body).replace(b"77777777", text.encode())


def _many(body: Body) -> bytes:
    advertisers = [{**body["advertisers"][0], "advertiser_id": f"a{index}"} for index in range(65)]
    return _json({**body, "advertisers": advertisers})


def _header(name: str, value: bytes) -> Headers:
    return ((name, value),)


def _good(body: Body) -> bytes:
    return _json(body)


KINDS = (
    Poison("not JSON", Reason.BAD_JSON, lambda body: body["text"].encode()),
    Poison("truncated JSON", Reason.BAD_JSON, lambda body: _json(body)[:-20]),
    Poison("two values", Reason.BAD_JSON, lambda body: _json(body) + b"{}"),
    Poison("single quotes", Reason.BAD_JSON, lambda body: str(body).encode()),
    Poison("trailing comma", Reason.BAD_JSON, lambda body: _json(body)[:-1] + b",}"),
    Poison("empty value", Reason.BAD_JSON, lambda body: b""),
    Poison("blanks", Reason.BAD_JSON, lambda body: b" " * (1 + len(body["text"]))),
    Poison("no value", Reason.BAD_JSON, lambda body: None),
    Poison("not UTF-8", Reason.BAD_JSON, lambda body: _json(body).replace(b"?", b"\xff\xfe")),
    Poison("UTF-16", Reason.BAD_JSON, lambda body: json.dumps(body).encode("utf-16")),
    Poison("zero bytes", Reason.BAD_JSON, lambda body: b"\0" + _json(body)),
    Poison("an array", Reason.BAD_SCHEMA, lambda body: json.dumps([body["text"]]).encode()),
    Poison("a string", Reason.BAD_SCHEMA, lambda body: json.dumps(body["text"]).encode()),
    Poison("no text", Reason.BAD_SCHEMA, changed(text=None)),
    Poison("text of a number", Reason.BAD_SCHEMA, lambda body: _json({**body, "text": len(body["text"])})),
    Poison("text of blanks", Reason.BAD_SCHEMA, lambda body: _json({**body, "text": "   "})),
    Poison("text too long", Reason.BAD_SCHEMA, lambda body: _json({**body, "text": body["text"] * 200})),
    Poison("unknown field", Reason.BAD_SCHEMA, changed(txet="?")),
    Poison("id of blanks", Reason.BAD_SCHEMA, changed(query_id="a b")),
    Poison("id too long", Reason.BAD_SCHEMA, changed(query_id="x" * 65)),
    Poison("language", Reason.BAD_SCHEMA, changed(language="english please")),
    Poison("category", Reason.BAD_SCHEMA, changed(category="Not A Category")),
    Poison("consent of a word", Reason.BAD_SCHEMA, changed(advertising_consent="yes")),
    Poison("advertisers as an object", Reason.BAD_SCHEMA, changed(advertisers={"a": 1})),
    Poison("65 advertisers", Reason.BAD_SCHEMA, _many),
    Poison(
        "the same advertiser twice",
        Reason.BAD_SCHEMA,
        lambda body: _json({**body, "advertisers": [body["advertisers"][0]] * 2}),
    ),
    Poison("invisible character in a name", Reason.BAD_SCHEMA, bidder(name="Ac\u202eme")),
    Poison("no name", Reason.BAD_SCHEMA, bidder(name="")),
    Poison("capitals in an id", Reason.BAD_SCHEMA, bidder(advertiser_id="ACME")),
    Poison("true for a number", Reason.BAD_SCHEMA, bidder(value_micros_per_nat=True)),
    Poison("a word for a number", Reason.BAD_SCHEMA, bidder(value_micros_per_nat="1000")),
    Poison("range of one", Reason.BAD_SCHEMA, bidder(reward_range_micros=[1])),
    Poison("range upside down", Reason.BAD_SCHEMA, bidder(reward_range_micros=[5, -5])),
    Poison("a deadline without an offset", Reason.BAD_SCHEMA, changed(deadline="2030-01-01T00:00:00")),
    Poison("a deadline outside the calendar", Reason.BAD_SCHEMA, changed(deadline=BEYOND)),
    Poison("NaN", Reason.BAD_NUMBER, number("NaN")),
    Poison("infinite", Reason.BAD_NUMBER, number("1e999")),
    Poison("minus infinity", Reason.BAD_NUMBER, number("-Infinity")),
    Poison("a negative value", Reason.BAD_NUMBER, bidder(value_micros_per_nat=-1)),
    Poison("too much per nat", Reason.BAD_NUMBER, bidder(value_micros_per_nat=10**12 + 1)),
    Poison("a fraction of a micro", Reason.BAD_SCHEMA, number("1000.5")),
    Poison("no candidate", Reason.BAD_NUMBER, changed(parameters={"candidates": 0})),
    Poison("257 candidates", Reason.BAD_NUMBER, changed(parameters={"candidates": 257})),
    Poison("too large", Reason.TOO_LARGE, lambda body: _json({**body, "text": body["text"] * 40_000})),
    Poison("20 MiB of one letter", Reason.TOO_LARGE, lambda body: body["text"][:1].encode() * 20 * MEBIBYTE),
    Poison("nested arrays", Reason.BAD_JSON, lambda body: b"[" * DEPTH + _json(body) + b"]" * DEPTH),
    Poison("nested objects", Reason.BAD_JSON, lambda body: b'{"text":' * DEPTH + _json(body) + b"}" * DEPTH),
    Poison("packed and packed again", Reason.BAD_JSON, lambda body: compress(compress(_json(body) * 2_000))),
    Poison("deadline passed", Reason.EXPIRED, changed(deadline=PAST)),
    Poison("expiry passed", Reason.EXPIRED, _good, _header("ce_expirytime", PAST.encode())),
    Poison("attribute not UTF-8", Reason.BAD_HEADERS, _good, _header("ce_trace", b"\xff\xfe")),
    Poison("another type", Reason.BAD_HEADERS, _good, _header("ce_type", b"order.placed")),
    Poison("another version", Reason.BAD_HEADERS, _good, _header("ce_specversion", b"0.3")),
    Poison("a time that is none", Reason.BAD_HEADERS, _good, _header("ce_time", b"yesterday")),
    Poison("a time without an offset", Reason.BAD_HEADERS, _good, _header("ce_time", b"2026-01-01T00:00:00")),
    Poison("an expiry outside the calendar", Reason.BAD_HEADERS, _good, _header("ce_expirytime", BEYOND.encode())),
    Poison("a header too long", Reason.BAD_HEADERS, _good, _header("ce_source", b"x" * 1_025)),
    Poison("another content", Reason.BAD_HEADERS, _good, _header("content-type", b"application/xml")),
    Poison("the key of another query", Reason.BAD_KEY, _good, key=b"another"),
    Poison("a key that is not UTF-8", Reason.BAD_KEY, _good, key=b"\xff"),
    Poison("a key that is no id", Reason.BAD_KEY, changed(query_id=None), key=b"no id"),
)
BY_NAME: Mapping[str, Poison] = {kind.name: kind for kind in KINDS}
