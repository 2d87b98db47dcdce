"""A PostgreSQL that tests of the copy share, and a database of its own for each of them."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from tests.support.postgres_server import PostgresServer, running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running() as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    """The URL of an empty database."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    return postgres_server.url.removesuffix("postgres") + name
