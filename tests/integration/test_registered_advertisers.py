"""Generation follows the registry on a real Kafka: who is approved bids at once, who is paused does not any more."""

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from schemas.reasons import AbstentionReason
from schemas.topics import GENERATED
from tests.support.kafka_client import Reader, of, produce
from tests.support.worker_process import tessera, worker

pytestmark = pytest.mark.kafka

WAIT_S = 60.0


def register(kafka: str, word: str) -> list[str]:
    """Two approved advertisers whose keyword nobody else has; their ids."""
    ids = [f"{word}-a", f"{word}-b"]
    common = {"description": "mending things", "keywords": [word], "value_micros_per_nat": 1_000, "currency": "USD"}
    lines = [json.dumps({"advertiser_id": id_, "name": f"Mender {id_}", **common}) for id_ in ids]
    done = tessera("advertisers", "import", "-", "--approve", kafka=kafka, given="\n".join(lines).encode())
    assert done.returncode == 0, done.stderr.decode()
    return ids


def generated(kafka: str, reader: Reader, **query: Any) -> dict[str, Any]:
    """What generation makes of a query."""
    query_id = f"registered-{uuid.uuid4()}"
    produce(kafka, [(query_id.encode(), json.dumps({"query_id": query_id, **query}).encode(), ())])
    messages = reader.until(lambda found: any(one.key() == query_id.encode() for one in found), WAIT_S)
    (value,) = [one.value() for one in of(messages, GENERATED.name) if one.key() == query_id.encode()]
    return dict(json.loads(value))


def test_generation_follows_the_registry_while_it_runs(topics: str, tmp_path: Path) -> None:
    word = f"zz{uuid.uuid4().hex[:10]}"
    first, second = register(topics, word)
    asked = {"text": f"Who mends a {word}?", "advertising_consent": True}
    with worker(["generation"], topics, tmp_path / "log", registry="found", candidates=2), Reader(topics) as reader:
        # Those whom a query names bid by their profiles
        named = generated(topics, reader, **asked, advertiser_ids=[second, "nobody"])
        assert [(one["advertiser_id"], one["profile_version"]) for one in named["advertisers"]] == [(second, 2)]
        assert named["abstentions"] == [{"advertiser_id": "nobody", "reason": AbstentionReason.UNKNOWN_ADVERTISER}]
        # A query that names nobody finds them
        found = generated(topics, reader, **asked)
        assert {one["advertiser_id"] for one in found["advertisers"]} >= {first, second}
        # One that is paused bids no more, in the same process
        assert tessera("advertisers", "pause", first, kafka=topics).returncode == 0
        deadline = time.monotonic() + WAIT_S
        while first in {one["advertiser_id"] for one in generated(topics, reader, **asked)["advertisers"]}:
            assert time.monotonic() < deadline
        again = generated(topics, reader, **asked, advertiser_ids=[first])
        assert again["abstentions"] == [{"advertiser_id": first, "reason": AbstentionReason.NOT_APPROVED}]
