"""The published JSON Schemas are those of the code, are valid, and say of an event what the code says."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.descriptions import MEANINGS, OWN
from schemas.envelope import Event
from schemas.payload import BadRecord
from schemas.publish import HEADERS, OF_EACH_STAGE, PUBLISHED, RECEIPTS, export, files
from schemas.topics import TOPICS
from tests.support.builders import make_events, make_query

EVENTS = make_events()
IDS = [event.type for event in EVENTS]


def validator(event_type: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((PUBLISHED / f"{event_type}.schema.json").read_text(encoding="utf-8")))


def test_the_committed_schemas_are_those_the_code_generates() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in PUBLISHED.glob("*.schema.json")}

    assert committed == files(), "run `tessera schemas export` and commit, after thinking about readers of old events"


def fields_of(document: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Model, field and what is said of it, of every field of a published schema."""
    schema = json.loads(document)
    models = {schema["title"]: schema, **schema.get("$defs", {})}
    return [
        (model, field, about) for model, inner in models.items() for field, about in inner.get("properties", {}).items()
    ]


@pytest.mark.parametrize("document", files().values(), ids=files())
def test_every_field_of_a_published_schema_has_a_description(document: str) -> None:
    """Its own `Field(description=...)`, or its name's meaning in schemas/descriptions.py."""
    fields = fields_of(document)

    assert len(fields) > 0
    assert [(model, field) for model, field, about in fields if not about.get("description")] == []


def test_no_description_is_of_a_field_that_no_schema_has() -> None:
    fields = [(model, field) for document in files().values() for model, field, _ in fields_of(document)]

    assert MEANINGS.keys() - {field for _, field in fields} == set()
    assert OWN.keys() - set(fields) == set()


def test_export_writes_every_schema(tmp_path: Path) -> None:
    paths = export(tmp_path / "new" / "folder")

    assert {path.name: path.read_text(encoding="utf-8") for path in paths} == files()
    assert len(paths) == len(TOPICS) + len(OF_EACH_STAGE) + len(RECEIPTS) + len(HEADERS)


@pytest.mark.parametrize("event_type", [*IDS, *RECEIPTS, *HEADERS])
def test_every_document_is_json_schema_2020_12(event_type: str) -> None:
    schema = validator(event_type).schema

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:tessera:schema:{event_type}"


@pytest.mark.parametrize("event", [*EVENTS, make_query(advertisers=0)], ids=[*IDS, "a query with few fields"])
def test_real_events_are_valid(event: Event[Any]) -> None:
    validator(event.type).validate(json.loads(event.value))


def broken(fields: dict[str, Any], path: list[str | int], value: Any) -> dict[str, Any]:
    """A copy with the field at `path` replaced, or taken out where the value is `...`."""
    copy = json.loads(json.dumps(fields))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return copy


BREAKS: list[tuple[str, list[str | int], Any]] = [
    ("auction.query.submitted.v1", ["text"], ...),
    ("auction.query.submitted.v1", ["text"], "x" * 4_001),
    ("auction.query.submitted.v1", ["text"], 5),
    ("auction.query.submitted.v1", ["txet"], "How?"),
    ("auction.query.submitted.v1", ["advertisers", 0, "advertiser_id"], "Not An Id"),
    ("auction.query.submitted.v1", ["advertisers", 0, "name"], "n" * 65),
    ("auction.query.submitted.v1", ["advertisers", 0, "value_micros_per_nat"], -1),
    ("auction.query.submitted.v1", ["parameters", "candidates"], 257),
    ("auction.candidates.generated.v1", ["candidates", 0, "log_q"], 0.5),
    ("auction.candidates.generated.v1", ["candidates", 0, "token_ids"], []),
    ("auction.candidates.generated.v1", ["fallback"], ...),
    ("auction.candidates.scored.v1", ["tau_micros_per_nat"], 0),
    ("auction.candidates.scored.v1", ["rewards_micros", "advertiser-00", 0], "1.5"),
    ("auction.candidates.scored.v1", ["currency"], "usd"),
    ("auction.reply.settled.v1", ["weights", 0], -1),
    ("auction.reply.settled.v1", ["outcome"], "maybe"),
    ("auction.reply.settled.v1", ["draw", "u"], "xyz"),
    ("auction.billing.charged.v1", ["charge_micros"], -1),
    ("auction.billing.charged.v1", ["charge_micros"], 1.5),
    ("auction.billing.charged.v1", ["scored_sha256"], "abc"),
]


@pytest.mark.parametrize(("event_type", "path", "value"), BREAKS)
def test_schema_and_code_refuse_the_same(event_type: str, path: list[str | int], value: Any) -> None:
    event = next(event for event in EVENTS if event.type == event_type)
    fields = broken(json.loads(event.value), path, value)

    assert not validator(event_type).is_valid(fields)
    with pytest.raises(BadRecord):
        type(event.data).decode(json.dumps(fields).encode())
