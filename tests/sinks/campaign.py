"""Copies that are killed again and again: `python -m tests.sinks.campaign --bills 100000 --kills 10`.

Bills are written in transactions, of which every fifth is aborted first. Each copy is killed by SIGKILL at random
moments, then run to its end; every committed bill must be one row, and the sums must be the topic's to the micro.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from confluent_kafka import Producer

from schemas.topics import CHARGED
from tests.support.builders import make_scored, make_settled
from tests.support.postgres_server import PostgresServer, running
from tests.support.worker_process import environment, tessera
from workers.devkafka import DevelopmentBroker

TRANSACTION, ABORTED_EACH = 2_000, 5
ADVERTISERS = 1_000
LONGEST_LIFE_S = 0.3


@dataclass(frozen=True)
class Bill:
    """What of a bill the copies are compared by."""

    charge_id: str
    advertiser_id: str
    micros: int


def bills(count: int) -> Iterator[tuple[Bill, bytes]]:
    """Bills with their values; real ones but for ids and amounts."""
    model = json.loads(make_settled(make_scored(1))[1][0].value)
    rng = random.Random(1)
    for number in range(count):
        bill = Bill(
            _id("charge", number), f"advertiser-{rng.randrange(ADVERTISERS)}", rng.randrange(model["bound_micros"])
        )
        own = {"charge_id": bill.charge_id, "advertiser_id": bill.advertiser_id, "charge_micros": bill.micros}
        other = {"query_id": f"query-{number}", "auction_id": _id("auction", number)}
        yield bill, json.dumps({**model, **own, **other}, separators=(",", ":")).encode()


def _id(kind: str, number: int) -> str:
    return sha256(f"{kind} {number}".encode()).hexdigest()


def publish(kafka: str, count: int) -> list[Bill]:
    """The bills that are committed; as many again of every fifth transaction are aborted."""
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": "tests.bills", "linger.ms": 20})
    producer.init_transactions(30)
    committed: list[Bill] = []
    waiting: list[tuple[Bill, bytes]] = []
    for number, one in enumerate(bills(count), 1):
        waiting.append(one)
        if len(waiting) == TRANSACTION or number == count:
            if number // TRANSACTION % ABORTED_EACH == 0:
                _transaction(producer, waiting, commit=False)
            _transaction(producer, waiting, commit=True)
            committed += [bill for bill, _ in waiting]
            waiting.clear()
    return committed


def _transaction(producer: Producer, records: list[tuple[Bill, bytes]], *, commit: bool) -> None:
    producer.begin_transaction()
    for bill, value in records:
        producer.produce(CHARGED.name, value, bill.advertiser_id.encode())
        producer.poll(0)
    assert producer.flush(60) == 0  # or an abort purges what is not sent, and nothing aborted is in the topic
    (producer.commit_transaction if commit else producer.abort_transaction)(60)


def killed(kafka: str, words: list[str], kills: int, rng: random.Random) -> int:
    """How many of the kills met a living process."""
    met = 0
    for _ in range(kills):
        command = [sys.executable, "-m", "workers", "sink", *words, "--batch-rows", "2000"]
        process = subprocess.Popen(command, env=environment(kafka), stderr=subprocess.PIPE)
        assert process.stderr is not None
        process.stderr.readline()  # one batch is committed: it works
        time.sleep(rng.uniform(0.0, LONGEST_LIFE_S))
        process.kill()
        process.communicate()
        met += process.returncode == -signal.SIGKILL
    return met


def compare(name: str, rows: list[tuple[Any, ...]], wanted: list[Bill], met: int, kills: int, rest_s: float) -> bool:
    """Print a line; whether the copy is exact. `rows`: partition, offset, charge id, advertiser, micros."""
    places, ids = len({row[:2] for row in rows}), {row[2] for row in rows}
    is_exact = (
        len(rows) == places == len(wanted)
        and ids == {bill.charge_id for bill in wanted}
        and sum(row[4] for row in rows) == sum(bill.micros for bill in wanted)
    )
    print(
        f"{name}: {len(rows):,} rows of {len(wanted):,} bills, {len(rows) - places} twice, "
        f"{sum(row[4] for row in rows):,} of {sum(bill.micros for bill in wanted):,} micros; {met} of {kills} kills "
        f"met it at work; the last run took {rest_s:.1f} s: {'exact' if is_exact else 'WRONG'}"
    )
    return is_exact


def month_of_one(name: str, query: Callable[[str], list[tuple[Any, ...]]]) -> None:
    """How long the sum of one advertiser takes; the best of three."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        query("advertiser-7")
        times.append(time.perf_counter() - began)
    print(f"{name}: charges of one advertiser of {ADVERTISERS:,} in {min(times):.3f} s")


def run(kafka: str, folder: Path, count: int, kills: int) -> bool:
    """Both copies; whether both are exact."""
    began, rng = time.perf_counter(), random.Random(2)
    wanted = publish(kafka, count)
    print(
        f"{len(wanted):,} bills published in {time.perf_counter() - began:.0f} s, every fifth transaction aborted first"
    )
    with running() as server:
        return all([_parquet(kafka, folder, wanted, kills, rng), _postgres(kafka, server, wanted, kills, rng)])


def _parquet(kafka: str, folder: Path, wanted: list[Bill], kills: int, rng: random.Random) -> bool:
    met = killed(kafka, ["parquet", str(folder)], kills, rng)
    rest_s = _rest(kafka, ["parquet", str(folder)])
    files = f"'{folder}/charges/*/*/*.parquet'"
    columns = '"partition", "offset", charge_id, advertiser_id, charge_micros'
    rows = duckdb.sql(f"select {columns} from {files}").fetchall()  # noqa: S608  # our folder
    month = f"select sum(charge_micros), count(*) from {files} where advertiser_id = ?"  # noqa: S608
    month_of_one("Parquet by DuckDB", lambda id_: duckdb.execute(month, [id_]).fetchall())
    return compare("Parquet", rows, wanted, met, kills, rest_s)


def _postgres(kafka: str, server: PostgresServer, wanted: list[Bill], kills: int, rng: random.Random) -> bool:
    met = killed(kafka, ["postgres", server.url], kills, rng)
    rest_s = _rest(kafka, ["postgres", server.url])
    with psycopg.connect(server.url) as connection:
        columns = '"partition", "offset", charge_id, advertiser_id, charge_micros'
        rows = connection.execute(f"select {columns} from tessera.charges".encode()).fetchall()  # noqa: S608
        (balance,) = connection.execute("select sum(balance_micros) from tessera.balances").fetchone() or (None,)
        connection.execute("analyze tessera.charges")
        month = "select sum(charge_micros), count(*) from tessera.charges where advertiser_id = %s"
        month_of_one("PostgreSQL", lambda id_: connection.execute(month, [id_]).fetchall())
    is_balanced = balance == sum(bill.micros for bill in wanted)
    return compare("PostgreSQL", rows, wanted, met, kills, rest_s) and is_balanced


def _rest(kafka: str, words: list[str]) -> float:
    began = time.perf_counter()
    done = tessera("sink", *words, kafka=kafka, timeout_s=3_600)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bills", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        broker = DevelopmentBroker(Path(folder) / "kafka", note=print)
        broker.start()
        try:
            made = tessera("topics", "create", kafka=broker.bootstrap_servers)
            assert made.returncode == 0, made.stderr
            is_exact = run(broker.bootstrap_servers, Path(folder) / "copies", given.bills, given.kills)
        finally:
            broker.stop()
    sys.exit(not is_exact)


if __name__ == "__main__":
    main()
