"""The marker probe: planted losses and doubles are found, and the pinned Kafka loses nothing."""

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from workers.cli.marker_probe_view import verdict
from workers.devkafka import DevelopmentBroker
from workers.devkafka.jars import kafka_version
from workers.doctor.marker_probe import probe_markers
from workers.doctor.marker_probe.comparison import COPIES, Comparison, ProbeRecord, ProbeReport, Round, compare
from workers.errors import BrokerError

ACKNOWLEDGED = {0: {0, 1, 2}, 1: {0, 1}}
COMMITTED = {0: 3, 1: 2}
CLEAN = Comparison()


def visible(committed: dict[int, int] = COMMITTED) -> dict[ProbeRecord, int]:
    return {
        ProbeRecord(id_, number, copy): 1
        for id_, offset in committed.items()
        for number in range(offset)
        for copy in range(COPIES)
    }


def report(*found: Comparison, skipped: int = 0, at_the_end: Comparison = CLEAN) -> ProbeReport:
    rounds = tuple(Round(number, 100, 0, 4.0, skipped, one) for number, one in enumerate(found, 1))
    return ProbeReport("4.2.2", 24, rounds, at_the_end)


def test_the_marker_probe_finds_nothing_where_everything_is_kept() -> None:
    assert compare(ACKNOWLEDGED, COMMITTED, visible()) == CLEAN


def test_an_unanswered_transaction_may_be_there_or_not() -> None:
    # Given a transaction of id 1 that was sent and never answered: Kafka may have committed it
    committed = {0: 3, 1: 3}
    # Then it is right with its offset and its records, and wrong with the offset alone
    assert compare(ACKNOWLEDGED, committed, visible(committed)) == CLEAN
    assert compare(ACKNOWLEDGED, committed, visible()).lost_records == {
        ProbeRecord(1, 2, copy) for copy in range(COPIES)
    }


def test_a_lost_offset_is_found() -> None:
    found = compare(ACKNOWLEDGED, {0: 2, 1: 2}, visible())
    assert found == replace(CLEAN, lost_offsets=frozenset({(0, 3)}))


def test_a_transactional_id_without_any_offset_is_found() -> None:
    assert compare(ACKNOWLEDGED, {0: 3, 1: 0}, visible()).lost_offsets == {(1, 2)}


def test_a_transactional_id_that_never_committed_has_lost_nothing() -> None:
    assert compare({7: set()}, {7: 0}, {}) == CLEAN


@pytest.mark.parametrize("gone", sorted(visible()))
def test_each_lost_record_is_found(gone: ProbeRecord) -> None:
    seen = {record: times for record, times in visible().items() if record != gone}
    assert compare(ACKNOWLEDGED, COMMITTED, seen) == replace(CLEAN, lost_records=frozenset({gone}))


@pytest.mark.parametrize("twice", sorted(visible()))
def test_each_doubled_record_is_found(twice: ProbeRecord) -> None:
    seen = visible() | {twice: 2}
    assert compare(ACKNOWLEDGED, COMMITTED, seen) == replace(CLEAN, doubled_records=frozenset({twice}))


def test_a_loss_seen_in_two_comparisons_counts_once() -> None:
    # Given a lost marker: the offset is gone at once, and its records are doubled when the id commits again
    record = ProbeRecord(3, 9, 0)
    lost = Comparison(frozenset({(3, 10)}), frozenset({record}))
    doubled = Comparison(doubled_records=frozenset({record}))
    # When both comparisons are put together, with a third that sees the doubles again
    found = report(lost, doubled, at_the_end=doubled)
    # Then each loss is there once
    assert (len(found.found.lost_offsets), len(found.found.lost_records), len(found.found.doubled_records)) == (1, 1, 1)
    assert not found.clean and "lost a commit marker: 1 lost offsets" in verdict(found)


def test_skipped_commit_markers_are_reported_separately() -> None:
    found = report(CLEAN, skipped=3)
    assert found.found == CLEAN and not found.clean
    assert "gave up 3 commit markers" in verdict(found) and "nothing was lost" in verdict(found)


def test_a_clean_report_states_how_much_was_compared() -> None:
    assert verdict(report(CLEAN, CLEAN)).endswith("in 24 transactional ids × 2 restarts = 48.")


@pytest.mark.parametrize(("ids", "rounds"), [(0, 1), (257, 1), (1, 0), (1, 1_001)])
async def test_the_probes_limits_are_named_in_the_error(ids: int, rounds: int, tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="1 to 256 ids and 1 to 1000 rounds"):
        await probe_markers(tmp_path, None, ids, rounds, print, print)


@pytest.mark.kafka
async def test_the_pinned_kafka_keeps_what_it_acknowledged(
    session_broker: DevelopmentBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a few ids (and, from the session's broker, Java and the jars), and the login of a Kafka that is not probed
    seen: list[Round] = []
    monkeypatch.setenv("TESSERA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("TESSERA_SASL_USERNAME", "auction.operator")
    monkeypatch.delenv("TESSERA_ALLOW_PLAINTEXT")
    # When their broker is killed in the midst of their transactions and restarted
    found = await probe_markers(tmp_path / "probe", None, 6, 1, pytest.fail, seen.append)
    # Then the kill met work, nothing was lost or doubled, and no process is left
    assert found.clean and found.kafka_version == kafka_version() and found.rounds == tuple(seen)
    assert seen[0].transactions >= 6 and seen[0].restart_s > 0
    folder = str(tmp_path)
    assert not [one.pid for one in psutil.process_iter(["cmdline"]) if folder in " ".join(one.info["cmdline"] or ())]
