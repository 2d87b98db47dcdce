"""What every store of settled ids must do, and what a disk can do to the one that is on it."""

import asyncio
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.settings import Settings
from workers.stream.deduplication.folder import StateFolder
from workers.stream.deduplication.rocks import RocksStore
from workers.stream.deduplication.store import Anchor, Checkpoint, Remembered, Row, Store, packed
from workers.stream.deduplication.volatile import VolatileStore
from workers.stream.wire.partitioner import Placement

SEGMENT_MS = 1_000
AUCTION, SCORED = "a" * 64, "5" * 64

Open = Callable[[], Store]


@pytest.fixture(params=["volatile", "rocks"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens one store again and again."""
    volatile = VolatileStore()
    return lambda: volatile if request.param == "volatile" else RocksStore(tmp_path / "ids", "topic/0", SEGMENT_MS)


def row(id_: str, at_ms: int = 5_000, auction: str = AUCTION, scored: str | None = SCORED) -> Row:
    return id_.encode(), at_ms, packed(auction, scored)


def reached(offset: int, horizon_ms: int = 0) -> Checkpoint:
    return Checkpoint(Anchor(offset, 7_000, b"\xff key"), horizon_ms, 1_000, 7_000)


def test_a_reopened_store_has_what_was_put(reopen: Open) -> None:
    store = reopen()
    store.put([row("q1"), row("q2", scored=None)], reached(1))
    store.put([row("q3", 6_500)], reached(9))
    store.close()

    store = reopen()

    assert store.get("q1") == Remembered(AUCTION, SCORED)
    assert store.get("q2") == Remembered(AUCTION, None)
    assert store.get("q3") is not None and store.get("q") is None
    assert store.checkpoint == reached(9)


def test_a_new_store_starts_at_offset_0(reopen: Open) -> None:
    assert reopen().checkpoint == Checkpoint()


def test_an_id_put_again_has_the_newest_value(reopen: Open) -> None:
    store = reopen()
    store.put([row("q1", 5_000), row("q1", 6_000, "b" * 64)], reached(2))
    store.put([row("q2", 5_000)], reached(3))
    store.put([row("q2", 5_001, "c" * 64)], reached(4))

    assert store.get("q1") == Remembered("b" * 64, SCORED)
    assert store.get("q2") == Remembered("c" * 64, SCORED)


def test_ids_older_than_the_horizon_are_dropped_by_segments(reopen: Open) -> None:
    store = reopen()
    store.put([row("old", 2_999), row("young", 3_000)], reached(1))

    store.put([row("too late", 1_000)], reached(2, horizon_ms=3_000))

    assert store.get("old") is None and store.get("too late") is None
    assert store.get("young") is not None
    store.close()
    assert reopen().get("old") is None


def test_a_cleared_store_is_empty(reopen: Open) -> None:
    store = reopen()
    store.put([row("q1")], reached(1))

    store.clear()

    assert store.get("q1") is None and store.checkpoint == Checkpoint()
    store.put([row("q2")], reached(1))
    assert store.get("q2") is not None


puts = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5_999), st.integers(0, 3_000)), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(puts)
def test_the_store_holds_every_id_recorded_since_the_horizon(
    tmp_path_factory: pytest.TempPathFactory, given_puts: list[tuple[int, int, int]]
) -> None:
    store, model, horizon_ms = RocksStore(tmp_path_factory.mktemp("ids"), "topic/0", SEGMENT_MS), dict[int, int](), 0
    for number, (id_, at_ms, forward_ms) in enumerate(given_puts):
        horizon_ms = max(horizon_ms, forward_ms)
        store.put([row(str(id_), at_ms)], reached(number, horizon_ms))
        model[id_] = max(at_ms, model.get(id_, 0))

    for id_, at_ms in model.items():
        found = store.get(str(id_))
        assert found is not None or at_ms < horizon_ms
        assert found is None or at_ms >= horizon_ms - SEGMENT_MS
    store.close()


@pytest.mark.parametrize(("name", "segment_ms"), [("topic/1", SEGMENT_MS), ("other/0", SEGMENT_MS), ("topic/0", 999)])
def test_a_store_of_another_partition_or_window_is_not_used(tmp_path: Path, name: str, segment_ms: int) -> None:
    store = RocksStore(tmp_path, "topic/0", SEGMENT_MS)
    store.put([row("q1")], reached(1))
    store.close()

    store = RocksStore(tmp_path, name, segment_ms)

    assert store.get("q1") is None and store.checkpoint == Checkpoint()
    store.close()


def test_a_damaged_store_is_emptied(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = RocksStore(tmp_path, "topic/0", SEGMENT_MS)
    store.put([row("q1")], reached(1))
    store.close()
    (manifest,) = tmp_path.glob("MANIFEST-*")
    manifest.write_bytes(b"\x00" * manifest.stat().st_size)

    store = RocksStore(tmp_path, "topic/0", SEGMENT_MS)

    assert store.get("q1") is None and store.checkpoint == Checkpoint()
    assert "is damaged, and restored from Kafka" in caplog.text
    store.close()


async def test_a_folder_that_its_former_owner_is_about_to_close_is_waited_for(tmp_path: Path) -> None:
    stores = StateFolder(Settings.read(state_folder=str(tmp_path)), locked_s=60.0)
    first = await stores.open(Placement("topic", 4), 0)
    first.put([row("q1")], reached(1))

    opening = asyncio.create_task(stores.open(Placement("topic", 4), 0))
    await asyncio.sleep(0.3)
    assert not opening.done()
    first.close()
    second = await opening

    assert second.get("q1") is not None and second.checkpoint == reached(1)
    second.close()


async def test_a_folder_in_use_or_not_to_be_written_is_replaced_by_a_temporary_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stores = StateFolder(Settings.read(state_folder=str(tmp_path)), locked_s=0.2)
    first = await stores.open(Placement("topic", 4), 0)
    first.put([row("q1")], reached(1))

    second = await stores.open(Placement("topic", 4), 0)

    assert second.get("q1") is None and second.checkpoint == Checkpoint()
    assert "topic/0 of 4: restored from Kafka into a temporary folder" in caplog.text
    second.put([row("q2")], reached(1))
    second.close()
    first.close()
    (tmp_path / "file").write_text("in the way")
    blocked = StateFolder(Settings.read(state_folder=str(tmp_path / "file")))
    third = await blocked.open(Placement("topic", 4), 0)
    assert third.checkpoint == Checkpoint()
    third.close()


WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
from workers.stream.deduplication.rocks import RocksStore
from workers.stream.deduplication.store import Anchor, Checkpoint
store = RocksStore(Path(sys.argv[1]), "topic/0", 1_000)
for number in range(10**9):
    rows = [(b"q%d-%d" % (number, one), 5_000, bytes(64)) for one in range(50)]
    store.put(rows, Checkpoint(Anchor(number, 5_000, b"")))
    print(number, flush=True)
"""


def test_a_process_killed_while_it_writes_leaves_only_whole_writes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITES_UNTIL_KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        told = next(number for line in writer.stdout if (number := int(line)) >= 200)
        writer.send_signal(signal.SIGKILL)

    store = RocksStore(tmp_path, "topic/0", SEGMENT_MS)

    assert store.checkpoint.anchor is not None
    last = store.checkpoint.anchor.offset
    assert last >= told
    assert all(store.get(f"q{number}-{one}") for number in range(last + 1) for one in (0, 49))
    assert store.get(f"q{last + 1}-0") is None
    store.close()


def test_a_full_disk_is_an_error_that_names_the_folder_and_the_remedy(tmp_path: Path) -> None:
    code = WRITES_UNTIL_KILLED.replace("bytes(64)", "bytes(10_000)").replace("    print(number, flush=True)\n", "")

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, preexec_fn=limited
    )

    assert ended.returncode == 1
    assert f"StoreFailed: {tmp_path}: IO error" in ended.stderr and "set TESSERA_STATE_FOLDER" in ended.stderr
    store = RocksStore(tmp_path, "topic/0", SEGMENT_MS)
    anchor = store.checkpoint.anchor
    assert anchor is not None and store.get(f"q{anchor.offset}-49") and not store.get(f"q{anchor.offset + 1}-0")
    store.close()
