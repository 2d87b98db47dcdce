"""Parquet copies are exact whatever moment the copying process dies at; read by DuckDB, which knows nothing of us."""

import asyncio
import json
import os
import resource
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.topics import CHARGED
from tests.sinks.memory_log import RECORDS, Log, records_of
from tests.support.builders import SUBMITTED_AT
from workers.errors import TesseraError
from workers.receipts.statement import Period
from workers.sinks.copying import Copy
from workers.sinks.parquet_files import ParquetFolder
from workers.sinks.rows import TABLES


def copy(folder: Path, log: Log, limits: Period = Period(), said: str = "", rows: int = 4) -> Copy:  # noqa: B008
    target = ParquetFolder(folder, said)
    try:
        target.open()
        made = Copy(target, log, lambda written, left: None, limits.holds, rows)
        asyncio.run(made.to_the_end(asyncio.Event()))
        return made
    finally:
        target.close()


def query(folder: Path, table: str, what: str) -> Any:
    return duckdb.sql(f"select {what} from '{folder}/{table}/*/*/*.parquet'").fetchall()  # noqa: S608  # our folder


def offsets(folder: Path) -> list[tuple[str, int, int]]:
    return sorted(
        (table.topic.name, *row)
        for table in TABLES
        if (folder / table.name).exists()
        for row in query(folder, table.name, '"partition", "offset"')
    )


ALL = sorted((one.topic, one.partition, one.offset) for one in RECORDS)


def test_duckdb_finds_each_record_once_with_its_sums_and_hours(tmp_path: Path) -> None:
    copy(tmp_path, Log())

    assert offsets(tmp_path) == ALL
    bills = [one for one in RECORDS if one.topic == CHARGED.name]
    charged = sum(json.loads(one.value or b"")["charge_micros"] for one in bills)
    assert query(tmp_path, "charges", "sum(charge_micros), count(*)") == [(charged, len(bills))]
    assert query(tmp_path, "charges", "min(taken_at)")[0][0].astimezone(UTC) == SUBMITTED_AT
    hours = query(tmp_path, "charges", "distinct day, hour")
    assert {(str(day), int(hour)) for day, hour in hours} == {("2026-11-23", 12), ("2026-11-23", 13)}
    told = json.loads((tmp_path / "manifest.json").read_text())
    assert told["rows"]["charges"] == len(bills)
    assert {one["next_offset"] for one in told["positions"] if one["topic"] == CHARGED.name} == {12}  # behind markers


class Killed(BaseException):
    """Nothing that the code could handle: the process is gone."""


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("step", range(20))
def test_a_copy_that_died_at_any_step_goes_on_and_has_each_record_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, before: bool
) -> None:
    """Each rename is a step, of files and manifests; the process dies before it or behind it."""
    rename, done = os.replace, 0

    def dying(source: Path, to: Path) -> None:
        nonlocal done
        done += 1
        if done > step and before:
            raise Killed
        rename(source, to)
        if done > step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        with pytest.raises(Killed):
            copy(tmp_path, Log())
    copy(tmp_path, Log())

    assert offsets(tmp_path) == ALL
    assert not list(tmp_path.rglob("*.unfinished"))


def test_a_disk_that_is_full_ends_the_copy_and_the_next_run_has_each_record_once(tmp_path: Path) -> None:
    """Files may have 6,000 bytes here: the system ends the writing of one in its middle, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            copy(tmp_path, Log())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "manifest.json").exists()  # nothing is committed
    copy(tmp_path, Log())

    assert offsets(tmp_path) == ALL


def test_a_second_run_writes_only_what_is_new_and_nothing_where_nothing_is(tmp_path: Path) -> None:
    copy(tmp_path, Log(records_of(3)))
    before = set(tmp_path.rglob("*.parquet"))
    more, none = copy(tmp_path, Log()), copy(tmp_path, Log())

    assert offsets(tmp_path) == ALL
    assert more.written["replies"] == 3 and not none.written
    assert before < set(tmp_path.rglob("*.parquet"))


def test_a_folder_keeps_to_its_period_and_to_one_process(tmp_path: Path) -> None:
    day = Period(SUBMITTED_AT + timedelta(minutes=10), SUBMITTED_AT + timedelta(minutes=40))
    copy(tmp_path, Log(), day, "a day")

    assert query(tmp_path, "replies", "count(*)") == [(2,)]
    with pytest.raises(TesseraError, match="is a copy of a day, not of all times"):
        copy(tmp_path, Log())
    held = ParquetFolder(tmp_path, "a day")
    held.open()
    with pytest.raises(TesseraError, match="another `tessera sink parquet` writes here"):
        copy(tmp_path, Log(), day, "a day")
    held.close()


def test_a_manifest_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": 2}')

    with pytest.raises(TesseraError, match="is of a newer release"):
        copy(tmp_path, Log())


def test_what_nobody_can_read_is_counted_and_what_only_a_newer_release_knows_ends_the_copy(tmp_path: Path) -> None:
    broken = replace(RECORDS[-1], value=b"{", offset=100)
    value = json.loads(next(one for one in RECORDS if one.topic == CHARGED.name).value or b"")
    newer = replace(RECORDS[1], value=json.dumps({**value, "payment_rule": "newer"}).encode(), offset=102)

    assert copy(tmp_path / "broken", Log([*RECORDS, broken])).unreadable == 1
    with pytest.raises(TesseraError, match="copy with the release that wrote it"):
        copy(tmp_path / "newer", Log([*RECORDS, newer]))


def test_a_copy_that_is_told_to_stop_writes_what_it_has_read(tmp_path: Path) -> None:
    stop, target = asyncio.Event(), ParquetFolder(tmp_path)
    stop.set()
    target.open()
    asyncio.run(Copy(target, Log(), _nothing).to_the_end(stop))
    target.close()

    assert len(offsets(tmp_path)) == 1
    copy(tmp_path, Log())
    assert offsets(tmp_path) == ALL


def _nothing(written: Mapping[str, int], left: int) -> None:
    pass


def test_columns_are_named_and_typed_as_the_events_are() -> None:
    for table in TABLES:
        fields = table.topic.payload.model_fields
        assert set(table.columns) - {"sponsored"} <= set(fields), table.name


def test_moments_have_a_time_zone(tmp_path: Path) -> None:
    copy(tmp_path, Log())

    (at,) = query(tmp_path, "charges", "min(submitted_at)")[0]
    assert isinstance(at, datetime) and at.tzinfo is not None
