"""The PostgreSQL copy is exact whatever moment the process or the server dies at."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from schemas.record import Record
from schemas.topics import CHARGED, CREDITED, SETTLED
from tests.sinks.memory_log import RECORDS, Log, records_of
from tests.support.postgres_server import PostgresServer, running
from workers.errors import TesseraError
from workers.sinks import copying
from workers.sinks.copying import Copy, TargetDown, patiently
from workers.sinks.migrations import migrations, missing
from workers.sinks.postgres import PostgresTables
from workers.sinks.rows import TABLES
from workers.stream.resume import Span

pytestmark = pytest.mark.kafka  # a service: on the level of those


def told(written: Mapping[str, int], left: int) -> None:
    pass


def copy(database: str, log: Log, rows: int = 4, **options: Any) -> Copy:
    with closing(PostgresTables(database, **options)) as target:
        target.open()
        made = Copy(target, log, told, batch_rows=rows)
        asyncio.run(made.to_the_end(asyncio.Event()))
    return made


def query(database: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(text.encode()).fetchall()


def offsets(database: str) -> list[tuple[str, int, int]]:
    return sorted(
        (table.topic.name, *row)
        for table in TABLES
        for row in query(database, f'select "partition", "offset" from tessera.{table.name}')  # noqa: S608
    )


ALL = sorted((one.topic, one.partition, one.offset) for one in RECORDS)


def sum_of(topic: str, name: str) -> int:
    return sum(json.loads(one.value or b"")[name] for one in RECORDS if one.topic == topic)


def test_each_record_is_a_row_and_the_balances_are_bills_less_credits(database: str) -> None:
    copy(database, Log())

    charged, credited = sum_of(CHARGED.name, "charge_micros"), sum_of(CREDITED.name, "credit_micros")
    assert offsets(database) == ALL
    sums = "select sum(charged_micros), sum(credited_micros), sum(balance_micros) from tessera.balances"
    assert query(database, sums) == [(charged, credited, charged - credited)]
    assert credited == 1
    replies = query(database, "select reply from tessera.replies order by taken_at")
    wanted = [json.loads(one.value or b"")["reply"] for one in RECORDS if one.topic == SETTLED.name]
    assert [reply for (reply,) in replies] == wanted
    assert copy(database, Log()).written == {}  # nothing is new


class Killed(BaseException):
    """Nothing that the code could handle: the process is gone."""


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("step", ["_copy", "_reach", "write"])
def test_a_copy_that_died_at_any_step_goes_on_and_has_each_record_once(
    database: str, monkeypatch: pytest.MonkeyPatch, step: str, batch: int
) -> None:
    """Behind a table's rows, behind the positions, behind the commit."""
    real, done = getattr(PostgresTables, step), 0

    def dying(self: PostgresTables, *arguments: Any) -> None:
        nonlocal done
        real(self, *arguments)
        done += 1
        if done > batch:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(PostgresTables, step, dying)
        with pytest.raises(Killed):
            copy(database, Log())
    copy(database, Log())

    assert offsets(database) == ALL


@dataclass(frozen=True)
class LogOfATroubledServer(Log):
    """Its server stops behind the fifth record, and comes back a second later."""

    server: PostgresServer | None = None

    async def records(self, span: Span) -> AsyncGenerator[Record, None]:
        count = 0
        async for record in super().records(span):
            yield record
            count += 1
            if count == 5 and not any(span.begins.values()) and self.server:
                self.server.stop()
                threading.Timer(1.0, self.server.start).start()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    with running() as server:
        yield server


def test_a_database_that_goes_away_is_waited_for_and_nothing_is_lost_or_doubled(own_server: PostgresServer) -> None:
    why: list[str] = []
    target = PostgresTables(own_server.url)
    made = Copy(target, LogOfATroubledServer(server=own_server), told, batch_rows=4)
    stop = asyncio.Event()

    asyncio.run(patiently(made, lambda: made.to_the_end(stop), stop, why.append))

    assert why and all(one.startswith("PostgreSQL: ") for one in why)
    assert offsets(own_server.url) == ALL


def test_a_database_that_is_away_at_the_start_or_for_too_long_is_an_error(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PATIENCE_S", 0.5)
    made = Copy(PostgresTables(own_server.url), Log(), told)
    stop = asyncio.Event()

    async def work() -> None:
        own_server.stop()
        await made.to_the_end(stop)

    began = time.monotonic()
    for _ in range(2):  # away for too long, then at the start
        with pytest.raises(TargetDown, match="PostgreSQL: "):
            asyncio.run(patiently(made, work, stop, lambda why: None))
    assert time.monotonic() - began > 0.5


def test_one_process_writes_to_a_database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sinks.postgres.LOCK_MS", 100)
    with closing(PostgresTables(database)) as first:
        first.open()
        with pytest.raises(TargetDown, match="another `tessera sink postgres` writes"):
            copy(database, Log())
    copy(database, Log())


def test_a_database_keeps_to_its_period(database: str) -> None:
    copy(database, Log(), period="november")

    with pytest.raises(TesseraError, match="has a copy of november, not of all times"):
        copy(database, Log())


def test_a_schema_of_a_newer_release_and_a_changed_migration_are_left_alone(database: str) -> None:
    copy(database, Log(records_of(1)))
    applied = {one.number: one.sha256 for one in migrations()}

    assert missing({}) == migrations() and missing(applied) == ()
    with pytest.raises(TesseraError, match="migration 0001_tables was another one"):
        missing({**applied, 1: "00"})
    with psycopg.connect(database) as connection:
        connection.execute("insert into tessera.migrations (number, sha256) values (99, 'x')")
    with pytest.raises(TesseraError, match="has migration 99 of schema tessera, and this release knows 2"):
        copy(database, Log())


def test_a_reader_may_read_and_not_write(database: str, postgres_server: PostgresServer) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create role analysts_of_tests login")
    copy(database, Log(), reader="analysts_of_tests")

    theirs = database.replace("finance@", "analysts_of_tests@")
    assert query(theirs, "select count(*) from tessera.balances") == [(2,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(theirs, "delete from tessera.charges returning 1")
    with pytest.raises(TesseraError, match=r"PostgreSQL refuses: .*nobody_of_tests"):
        copy(database, Log(), reader="nobody_of_tests")


def test_texts_that_postgresql_cannot_hold_do_not_end_the_copy(database: str) -> None:
    first = next(one for one in RECORDS if one.topic == SETTLED.name)
    value = {**json.loads(first.value or b""), "reply": "a\0b\\N\t\n\\."}
    copy(database, Log([replace(first, value=json.dumps(value).encode())]))

    assert query(database, "select reply from tessera.replies") == [("a\ufffdb\\N\t\n\\.",)]


def columns_of(database: str, table: str) -> Sequence[str]:
    text = f"select column_name from information_schema.columns where table_schema='tessera' and table_name='{table}'"  # noqa: S608
    return [name for (name,) in query(database, text)]


def test_the_tables_have_the_columns_of_the_rows(database: str) -> None:
    copy(database, Log(records_of(1)))

    for table in TABLES:
        assert set(columns_of(database, table.name)) == {*table.columns, "partition", "offset", "taken_at"}
