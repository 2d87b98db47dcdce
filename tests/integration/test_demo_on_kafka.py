"""`tessera demo --kafka`: what it leaves on the topics, seen by a client that is not ours."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from schemas.topics import CHARGED, COMMITMENTS, SCORED, SETTLED
from tests.support.kafka_client import DEAD_LETTERS, Reader, counts, of
from tests.support.worker_process import tessera

pytestmark = pytest.mark.kafka

QUERIES = 50


@pytest.fixture(scope="module")
def run(topics: str) -> tuple[Reader, list[dict[str, object]]]:
    """The demo, run once on the embedded model: what an independent reader saw, and what the command printed."""
    with Reader(topics) as reader:
        done = tessera("demo", "--kafka", "--json", kafka=topics, engine="embedded", candidates=8, timeout_s=300)
        assert done.returncode == 0, done.stderr.decode()
        reader.rest()
        return reader, [json.loads(line) for line in done.stdout.splitlines()]


def test_each_query_has_one_settled_reply_with_its_full_set_of_charges(run: tuple[Reader, list[object]]) -> None:
    settled = [json.loads(message.value()) for message in of(run[0].messages, SETTLED.name)]
    charged = [json.loads(message.value()) for message in of(run[0].messages, CHARGED.name)]

    assert len({reply["query_id"] for reply in settled}) == len(settled) == QUERIES
    assert sorted(charge["charge_id"] for charge in charged) == sorted(
        charge_id for reply in settled for charge_id in reply["charge_ids"]
    )
    assert len(charged) == 2 * QUERIES
    assert not of(run[0].messages, *DEAD_LETTERS)


def test_charges_are_whole_micros_and_add_up(run: tuple[Reader, list[object]]) -> None:
    settled = [json.loads(message.value()) for message in of(run[0].messages, SETTLED.name)]
    charges = [json.loads(message.value())["charge_micros"] for message in of(run[0].messages, CHARGED.name)]

    assert all(type(charge) is int and charge >= 0 for charge in charges)
    assert sum(charges) == sum(reply["total_charge_micros"] for reply in settled) > 0


def test_settling_the_scored_events_again_gives_the_same_bytes(run: tuple[Reader, list[object]]) -> None:
    # Given the scored values as a console consumer prints them
    values = b"\n".join(message.value() for message in of(run[0].messages, SCORED.name))

    # When anyone settles them again
    again = tessera("settle", "-", given=values)

    # Then every reply and every charge is what was published, byte for byte
    assert again.returncode == 0, again.stderr.decode()
    recomputed = sorted(line.split(b',"data":', 1)[1][:-1] for line in again.stdout.splitlines())
    assert recomputed == sorted(message.value() for message in of(run[0].messages, SETTLED.name, CHARGED.name))


def test_the_demo_prints_the_events_that_are_on_the_topics(run: tuple[Reader, list[dict[str, object]]]) -> None:
    printed = counts_of_types(run[1])
    seen = counts(of(run[0].messages, SCORED.name, SETTLED.name, CHARGED.name))
    assert printed.pop(COMMITMENTS.name) >= 2  # of before the demo; the reader began later
    assert printed == seen


def test_the_audit_of_all_that_is_on_the_topics_finds_nothing(run: tuple[Reader, list[object]], topics: str) -> None:
    """Also of what other tests left there: whatever was killed or refused, every auction came out right."""
    done = tessera("audit", "--queries", "--json", "--grace", "0", kafka=topics)

    assert done.returncode == 0, done.stdout.decode()
    (totals,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert totals["auctions"] >= QUERIES <= totals["invariants"]["lineage"]["checked"]
    assert totals["invariants"]["charges"]["checked"] >= 2 * QUERIES


def test_what_is_exported_is_audited_as_the_topics_are(
    run: tuple[Reader, list[object]], topics: str, tmp_path: Path
) -> None:
    exported = tessera("export", "--queries", kafka=topics)
    assert exported.returncode == 0, exported.stderr.decode()
    (tmp_path / "log.jsonl").write_bytes(exported.stdout)

    done = tessera("audit", str(tmp_path / "log.jsonl"), "--json")

    assert done.returncode == 0, done.stdout.decode()
    totals = json.loads(done.stdout)
    assert totals["auctions"] >= QUERIES <= totals["invariants"]["lineage"]["checked"]
    settled = [json.loads(message.value()) for message in of(run[0].messages, SETTLED.name)]
    told = tessera("explain", settled[0]["query_id"], "--from", str(tmp_path / "log.jsonl"), "--json")
    assert json.loads(told.stdout)["auction_id"] == settled[0]["auction_id"]


def test_of_a_period_is_exported_what_the_broker_took_in_it_and_every_commitment(
    run: tuple[Reader, list[object]], topics: str
) -> None:
    whole = [json.loads(line) for line in tessera("export", kafka=topics).stdout.splitlines()]
    times = sorted(taken_at(line) for line in whole if line["type"] == SETTLED.name)
    begin, end = times[len(times) // 4], times[3 * len(times) // 4]
    done = tessera("export", "--from", begin.isoformat(), "--to", end.isoformat(), kafka=topics)

    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    wanted = [line for line in whole if line["type"] == COMMITMENTS.name or begin <= taken_at(line) < end]
    assert sorted(line["id"] for line in lines) == sorted(line["id"] for line in wanted)
    assert 0 < len(lines) < len(whole)


def taken_at(line: dict[str, str]) -> datetime:
    return datetime.fromisoformat(line.get("brokertime") or line["time"])


def counts_of_types(lines: list[dict[str, object]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in lines:
        found[str(line["type"])] = found.get(str(line["type"]), 0) + 1
    return found
