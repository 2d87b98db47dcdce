"""How many rows a second the copies write, beside the plain writer of each format in the same run."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.envelope import from_record
from schemas.record import Record
from schemas.topics import CHARGED
from tests.benchmarks.report import Scale
from tests.sinks.campaign import ADVERTISERS, bills
from tests.support.postgres_server import running
from workers.sinks.parquet_files import ParquetFolder, schema_of
from workers.sinks.postgres import PLACE, PostgresTables
from workers.sinks.rows import BY_TOPIC, Row

AIM_PARQUET, AIM_POSTGRES, AIM_OF_PLAIN = 100_000, 20_000, 0.5  # rows a second, and their share of the plain writer's
TABLE = BY_TOPIC[CHARGED.name]
AT = (CHARGED.name, 0)
FULL, SHORT = 200_000, 500
BATCH = 50_000
FIRST_DAY, MONTH = datetime(2026, 10, 1, tzinfo=UTC), timedelta(days=30)
ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def rows_of(count: int) -> tuple[list[Row], float]:
    """Rows of bills, and the CPU seconds that reading them took."""
    records = [
        Record(CHARGED.name, bill.advertiser_id.encode(), value, (), 0, offset, 1_795_435_200_250 + offset, True)
        for offset, (bill, value) in enumerate(bills(count))
    ]
    began = process_time()
    rows = [TABLE.placed(from_record(record, CHARGED), record) for record in records]
    return rows, process_time() - began


def batches(rows: list[Row]) -> Iterator[list[Row]]:
    for begin in range(0, len(rows), BATCH):
        yield rows[begin : begin + BATCH]


def seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def report(scale: Scale, name: str, count: int, own_s: float, plain_s: float, decode_s: float, aim: int) -> None:
    own, share = count / own_s, plain_s / own_s
    figures = {"rows/s": own, "aim": aim, "of the plain writer": share, "reading, rows/s per core": count / decode_s}
    scale.report(name, [figures])
    assert own >= scale(aim, 0) and share >= scale(AIM_OF_PLAIN, 0.0), figures


def test_parquet(scale: Scale, tmp_path: Path) -> None:
    rows, decode_s = rows_of(scale(FULL, SHORT))
    target, schema = ParquetFolder(tmp_path / "copy"), schema_of(TABLE)
    target.open()

    def plain() -> None:
        with pq.ParquetWriter(tmp_path / "plain.parquet", schema, compression="zstd") as writer:
            for batch in batches(rows):
                writer.write_table(pa.Table.from_pylist(batch, schema))

    def own() -> None:
        for batch in batches(rows):
            target.write({AT: batch}, {AT: batch[-1]["offset"] + 1})

    plain_s, own_s = seconds(plain), seconds(own)
    target.close()
    assert target.rows == {"charges": len(rows)}
    report(scale, "sink-parquet", len(rows), own_s, plain_s, decode_s, AIM_PARQUET)


@pytest.mark.kafka
def test_postgres(scale: Scale) -> None:
    rows, decode_s = rows_of(scale(FULL, SHORT))
    with running() as server:
        target = PostgresTables(server.url)
        target.open()

        def plain() -> None:
            """COPY of text that is ready, into a table with the same indexes."""
            with psycopg.connect(server.url) as connection:
                connection.execute("create table plain (like tessera.charges including all)")
                for batch in texts:
                    with connection.cursor() as cursor, cursor.copy("copy plain from stdin") as copy:
                        copy.write(batch)
                    connection.commit()

        def own() -> None:
            for batch in batches(rows):
                target.write({AT: batch}, {AT: batch[-1]["offset"] + 1})

        texts = ["".join(map(_line, batch)) for batch in batches(rows)]
        plain_s, own_s = seconds(plain), seconds(own)
        target.close()
        with psycopg.connect(server.url) as connection:
            same = "select count(*) from (table plain except table tessera.charges) as other"
            assert connection.execute(same).fetchone() == (0,)
            assert connection.execute("select count(*) from tessera.charges").fetchone() == (len(rows),)
    report(scale, "sink-postgres", len(rows), own_s, plain_s, decode_s, AIM_POSTGRES)


def months(count: int) -> Iterator[list[Row]]:
    """Bills of a thousand advertisers, evenly over two months, in batches: rows as they are read."""
    ((bill, value),) = bills(1)
    record = Record(CHARGED.name, bill.advertiser_id.encode(), value, (), 0, 0, 0, True)
    model = TABLE.placed(from_record(record, CHARGED), record)
    for begin in range(0, count, BATCH):
        yield [
            {
                **model,
                "charge_id": f"charge-{number}",
                "query_id": f"query-{number}",
                "advertiser_id": f"advertiser-{number % ADVERTISERS}",
                "charge_micros": number,
                "offset": number,
                "taken_at": FIRST_DAY + number * 2 * MONTH / count,
            }
            for number in range(begin, min(count, begin + BATCH))
        ]


def fastest(ask: Callable[[], object]) -> float:
    return min(seconds(ask) for _ in range(3))


@pytest.mark.kafka
def test_a_month_of_one_advertiser(scale: Scale, tmp_path: Path) -> None:
    """Among a million bills in full form; both are asked for the same rows."""
    count = scale(1_000_000, 2_000)
    wanted = set(range(7, count // 2, ADVERTISERS))
    folder = ParquetFolder(tmp_path / "copy")
    folder.open()
    files = f"read_parquet('{tmp_path}/copy/charges/*/*/*.parquet', hive_partitioning = true)"
    of_files = (
        f"select charge_micros from {files} where day < '{FIRST_DAY + MONTH:%Y-%m-%d}' "  # noqa: S608
        "and advertiser_id = 'advertiser-7'"
    )
    with running() as server, closing(PostgresTables(server.url)) as tables:
        tables.open()
        for batch in months(count):
            for target in (folder, tables):
                target.write({AT: batch}, {AT: batch[-1]["offset"] + 1})
        folder.close()
        with psycopg.connect(server.url) as connection:
            of_tables = "select charge_micros from tessera.charges where advertiser_id = %s and taken_at < %s"
            given = ["advertiser-7", FIRST_DAY + MONTH]
            assert {micros for (micros,) in connection.execute(of_tables, given)} == wanted
            postgres_s = fastest(lambda: connection.execute(of_tables, given).fetchall())
    assert {micros for (micros,) in duckdb.sql(of_files).fetchall()} == wanted
    parquet_s = fastest(lambda: duckdb.sql(of_files).fetchall())
    scale.report("sink-month", [{"bills": count, "PostgreSQL, s": postgres_s, "Parquet, s": parquet_s}])
    assert postgres_s <= scale(1.0, 60.0) and parquet_s <= scale(2.0, 60.0)


def _line(row: Row) -> str:
    return "\t".join(_text(row[column]) for column in (*TABLE.columns, *PLACE)) + "\n"


def _text(value: Any) -> str:
    if value is None:
        return r"\N"
    return value.isoformat() if isinstance(value, datetime) else str(value).translate(ESCAPED)
