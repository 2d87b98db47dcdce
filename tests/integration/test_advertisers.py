"""`tessera advertisers` on a real Kafka."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import PROFILES
from tests.support.worker_process import tessera

pytestmark = pytest.mark.kafka


def profile(word: str, **changes: Any) -> dict[str, Any]:
    fields = {"advertiser_id": f"oven-{word}", "name": f"Oven{word}", "description": "selling baking ingredients"}
    return fields | {"value_micros_per_nat": 1_000, "currency": "USD"} | changes


def lines(kafka: str, *arguments: str) -> list[dict[str, Any]]:
    done = tessera("advertisers", *arguments, kafka=kafka)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_advertiser_is_put_approved_changed_and_removed(topics: str) -> None:
    word = uuid.uuid4().hex[:8]
    id_ = f"oven-{word}"
    steps = [
        (("put", "-"), profile(word), "version 1, draft"),
        (("approve", id_, "--by", "eve"), None, "version 2, approved"),
        (("put", "-"), profile(word, value_micros_per_nat=7), "version 3, approved"),
        (("put", "-"), profile(word, description="selling flour"), "version 4, draft"),
        (("remove", id_), None, "version 5, removed"),
    ]
    for arguments, given, said in steps:
        done = tessera("advertisers", *arguments, kafka=topics, given=json.dumps(given).encode() if given else b"")
        assert done.returncode == 0, done.stderr.decode()
        assert f"{id_}: {said}" in done.stdout.decode()

    (event,) = lines(topics, "show", id_, "--json")
    assert (event["type"], event["data"]["version"], event["data"]["status"]) == (PROFILES.name, 5, "removed")
    assert event["brokertime"] if "brokertime" in event else event["time"]


def test_a_profile_that_is_refused_is_not_stored_and_the_message_names_its_field(topics: str) -> None:
    word = uuid.uuid4().hex[:8]
    bad = json.dumps(profile(word, currency="ABC")).encode()

    done = tessera("advertisers", "put", "-", kafka=topics, given=bad)

    assert (done.returncode, done.stdout) == (2, b"")
    assert b"tessera: currency: ABC is no currency of ISO 4217. Nothing is stored" in done.stderr
    shown = tessera("advertisers", "show", f"oven-{word}", kafka=topics)
    assert shown.returncode == 2 and b"no advertiser is called" in shown.stderr


def test_what_was_exported_is_imported_again(topics: str, tmp_path: Path) -> None:
    word = uuid.uuid4().hex[:8]
    mine = [profile(f"{word}{n}") for n in "ab"]
    given = "\n".join(map(json.dumps, mine)).encode()
    done = tessera("advertisers", "import", "-", "--approve", kafka=topics, given=given)
    assert done.stdout.decode().count("version 2, approved") == 2, done.stderr.decode()

    exported = [one for one in lines(topics, "export", "--status", "approved") if word in one["advertiser_id"]]
    for one in exported:
        assert tessera("advertisers", "remove", one["advertiser_id"], "--forget", kafka=topics).returncode == 0
    file = tmp_path / "advertisers.jsonl"
    file.write_text("\n".join(map(json.dumps, exported)))
    again = tessera("advertisers", "import", str(file), kafka=topics)

    assert again.stdout.decode().count("version 2, draft") == 2, again.stderr.decode()
