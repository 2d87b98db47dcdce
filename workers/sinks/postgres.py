"""Tables of PostgreSQL: rows and positions in one transaction, so that each record is there once, whatever dies."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from workers.errors import TesseraError
from workers.sinks.copying import Batch, TargetDown
from workers.sinks.migrations import missing
from workers.sinks.rows import BY_TOPIC, Row, SinkTable
from workers.stream.bus import Offsets

CONNECT_S = 10
STATEMENT_MS = 300_000  # of one COPY or migration
LOCK_MS = 10_000  # a server needs a moment to see that a process was killed
LOCK = 8_388_123_002  # of whoever writes: one process for each database
PLACE = ("partition", "offset", "taken_at")
NO_NUL = str.maketrans({"\0": "\ufffd"})  # PostgreSQL has no NUL in texts
FIRST = """
create schema if not exists tessera;
create table if not exists tessera.migrations (
    number integer primary key, sha256 text not null, applied_at timestamptz not null default now()
);
"""


@dataclass
class PostgresTables:
    """The schema `tessera` of a database, written by one process at a time.

    `where`: a connection string or URL; what it leaves out says libpq's environment (PGHOST, PGPASSWORD...).
    `period`: what of the topics is copied, in words. `reader`: a role that may read the tables, or empty.
    """

    where: str
    period: str = ""
    reader: str = ""
    next: Offsets = field(default_factory=dict)
    _connection: "psycopg.Connection[Any] | None" = None

    def open(self) -> None:
        """Connect, bring the schema up to date and read where to go on.

        TargetDown: the database is away. TesseraError: it is another copy's, of a newer release, or refuses.
        """
        with _told():
            self._connection = psycopg.connect(
                self.where,
                connect_timeout=CONNECT_S,
                application_name="tessera sink",
                client_encoding="utf8",
                options=f"-c statement_timeout={STATEMENT_MS}",
            )
            self._lock()
            with self._connection.transaction():
                self._migrate()
                self._keep_to_period()
                self._let_read()
            self.next = self._positions()

    def close(self) -> None:
        """Let others write."""
        if self._connection is not None:
            self._connection.close()

    def write(self, batch: Batch, reached: Offsets) -> None:
        """Rows and positions, in one transaction. TargetDown: whether they are there, only `open` knows again."""
        with _told(), self._open.transaction():
            for (topic, _), rows in batch.items():
                self._copy(BY_TOPIC[topic], rows)
            self._reach(reached)
        self.next = {**self.next, **reached}

    @property
    def _open(self) -> "psycopg.Connection[Any]":
        if self._connection is None:
            raise RuntimeError("the tables are not open")
        return self._connection

    def _lock(self) -> None:
        """For as long as the connection lasts, which a killed process does not keep."""
        try:
            self._open.execute(f"set lock_timeout = {LOCK_MS}")
            self._open.execute("select pg_advisory_lock(%s)", [LOCK])
            self._open.commit()
        except psycopg.errors.LockNotAvailable:
            raise TargetDown("another `tessera sink postgres` writes to this database; stop it first") from None

    def _migrate(self) -> None:
        self._open.execute(FIRST)
        applied = dict(self._open.execute("select number, sha256 from tessera.migrations").fetchall())
        for one in missing(applied):
            self._open.execute(one.text.encode())
            self._open.execute(
                "insert into tessera.migrations (number, sha256) values (%s, %s)", [one.number, one.sha256]
            )

    def _keep_to_period(self) -> None:
        self._open.execute("insert into tessera.copy (period) values (%s) on conflict do nothing", [self.period])
        (was,) = self._open.execute("select period from tessera.copy").fetchone() or ("",)
        if was != self.period:
            raise TesseraError(
                f"the database has a copy of {was or 'all times'}, not of {self.period or 'all times'}: what lies "
                "between would be missing. Give the same --from and --to, or another database"
            )

    def _let_read(self) -> None:
        if self.reader:
            role = sql.Identifier(self.reader)
            self._open.execute(sql.SQL("grant usage on schema tessera to {}").format(role))
            self._open.execute(sql.SQL("grant select on all tables in schema tessera to {}").format(role))

    def _positions(self) -> Offsets:
        rows = self._open.execute('select topic, "partition", next_offset from tessera.positions').fetchall()
        self._open.commit()
        return {(topic, partition): offset for topic, partition, offset in rows}

    def _copy(self, table: SinkTable, rows: Sequence[Row]) -> None:
        columns = (*table.columns, *PLACE)
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        into = sql.SQL("copy tessera.{} ({}) from stdin").format(sql.Identifier(table.name), names)
        with self._open.cursor() as cursor, cursor.copy(into) as copy:
            for row in rows:
                copy.write_row([_value(row[column]) for column in columns])

    def _reach(self, reached: Offsets) -> None:
        with self._open.cursor() as cursor:
            cursor.executemany(
                'insert into tessera.positions (topic, "partition", next_offset) values (%s, %s, %s) '
                'on conflict (topic, "partition") do update set next_offset = excluded.next_offset',
                [(topic, partition, offset) for (topic, partition), offset in reached.items()],
            )


def _value(value: Any) -> Any:
    return value.translate(NO_NUL) if isinstance(value, str) else value


@contextmanager
def _told() -> Iterator[None]:
    """Errors of the database as ours; no message holds a password."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise TargetDown(f"PostgreSQL: {_line(error)}") from error
    except psycopg.Error as error:
        raise TesseraError(f"PostgreSQL refuses: {_line(error)}") from error


def _line(error: psycopg.Error) -> str:
    return " ".join(str(error).split()) or type(error).__name__
