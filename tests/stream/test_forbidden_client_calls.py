"""Uses of the client library that are known to lose, repeat or hang: nothing in the workers may come back to them."""

import ast
import inspect
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.codec import has_gzip, has_lz4, has_snappy, has_zstd

from workers.settings import Settings
from workers.stream.connection import clients as clients_module
from workers.stream.connection.clients import Clients
from workers.stream.consumer import StageLoop

SOURCES = sorted(Path(clients_module.__file__).parent.parent.rglob("*.py"))
LEAKS = {"getone"}  # cancelled, it switches the poll-interval guard off for ever


def calls(source: Path) -> set[str]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return {node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "attr")}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_no_consumer_is_read_record_by_record(source: Path) -> None:
    assert not calls(source) & LEAKS


async def test_consumers_guess_no_position_commit_nothing_and_parse_nothing() -> None:
    consumer = Clients(Settings.read(bootstrap_servers="127.0.0.1:1", allow_plaintext=True)).consumer()

    assert isinstance(consumer, AIOKafkaConsumer)
    assert consumer._auto_offset_reset == "none"
    assert consumer._enable_auto_commit is False
    assert consumer._isolation_level == "read_committed"
    assert consumer._key_deserializer is consumer._value_deserializer is None
    await consumer.stop()


def test_every_codec_of_a_producer_can_be_read() -> None:
    assert has_gzip() and has_lz4() and has_snappy() and has_zstd()


def test_a_rebalance_callback_awaits_only_its_own_actors_and_who_has_its_place() -> None:
    """aiokafka logs what a callback raises, and no heartbeat is sent while it runs. The place is asked for within a
    limit, and only by a process that is no member any more."""
    assigned = ast.parse(inspect.getsource(StageLoop.on_partitions_assigned).strip())
    assert not [node for node in ast.walk(assigned) if isinstance(node, ast.Await)]
    revoked = ast.parse(inspect.getsource(StageLoop.on_partitions_revoked).strip())
    awaited = [ast.unparse(node.value) for node in ast.walk(revoked) if isinstance(node, ast.Await)]
    assert awaited == ["self._let_go(list(revoked))", "self._check_place()"]
