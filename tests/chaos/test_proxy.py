"""The proxy breaks what it says it breaks, and counts only that; against a server of frames, and a real broker."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.chaos.link import END_TXN
from tests.chaos.proxied_broker import proxied_brokers
from tests.chaos.proxy import Proxy
from tests.chaos.weather import HeldAnswer
from workers.devkafka import DevelopmentBroker, free_port

pytestmark = pytest.mark.chaos

PRODUCE, LIMIT_S = 0, 10.0


class FrameServer:
    """Answers each request with its correlation id and four zero bytes, as a broker with nothing to say."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.answered = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while frame := receive(connection):
                self.answered += 1
                connection.sendall(struct.pack(">i", 8) + frame[4:8] + bytes(4))

    def close(self) -> None:
        with suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)  # else a blocked accept() goes on listening
        self._listener.close()


def receive(connection: socket.socket) -> bytes:
    """One frame without its length; empty at the end."""
    head = connection.recv(4, socket.MSG_WAITALL)
    return connection.recv(struct.unpack(">i", head)[0], socket.MSG_WAITALL) if len(head) == 4 else b""


def ask(connection: socket.socket, correlation: int, api_key: int = PRODUCE) -> float:
    """Seconds until the answer with this correlation id."""
    began = time.monotonic()
    request = struct.pack(">hhi", api_key, 0, correlation) + b"payload"
    connection.sendall(struct.pack(">i", len(request)) + request)
    assert receive(connection)[:4] == struct.pack(">i", correlation)
    return time.monotonic() - began


def address_of(proxy: Proxy) -> tuple[str, int]:
    """Of a proxy in front of one server."""
    return "127.0.0.1", next(iter(proxy.ports.values()))


@pytest.fixture
def server() -> Iterator[FrameServer]:
    running = FrameServer()
    yield running
    running.close()


@pytest.fixture
def proxy(server: FrameServer) -> Iterator[Proxy]:
    with Proxy(server.port) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(address_of(proxy), LIMIT_S) as connection:
        yield connection


def test_frames_pass_untouched_and_nothing_is_counted(proxy: Proxy, client: socket.socket) -> None:
    for correlation in range(50):
        ask(client, correlation, api_key=END_TXN)

    assert not +proxy.happened


def test_latency_is_added_both_ways_while_it_lasts(proxy: Proxy, client: socket.socket) -> None:
    proxy.slow_down(0.05, for_s=0.5)

    slow = [ask(client, correlation) for correlation in range(3)]
    until = time.monotonic() + LIMIT_S
    while not proxy.is_quiet and time.monotonic() < until:
        ask(client, 9)

    assert max(slow) > 0.01
    assert proxy.happened["frames_late"] >= 2 * len(slow)


def test_a_black_hole_swallows_and_then_resets_whoever_lost_something(proxy: Proxy, client: socket.socket) -> None:
    ask(client, 1)
    with socket.create_connection(address_of(proxy), LIMIT_S) as idle:
        ask(idle, 1)
        proxy.swallow(for_s=0.3)

        with pytest.raises(ConnectionResetError):
            ask(client, 2)

        assert proxy.happened["frames_swallowed"] == 1
        assert proxy.happened["connections_reset"] == 1
        ask(idle, 2)


def test_a_reset_closes_the_connection_with_rst(proxy: Proxy, client: socket.socket) -> None:
    ask(client, 1)

    proxy.reset()

    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert proxy.happened["connections_reset"] == 1


def test_only_the_answer_to_end_txn_is_held_back(proxy: Proxy, client: socket.socket) -> None:
    proxy.hold_end_txn(HeldAnswer(delay_s=0.3))

    assert ask(client, 1) < 0.3
    assert ask(client, 2, api_key=END_TXN) >= 0.3
    assert ask(client, 3, api_key=END_TXN) < 0.3
    assert proxy.happened["end_txn_delayed"] == 1


def test_a_lost_answer_to_end_txn_comes_after_the_server_has_processed_it(
    server: FrameServer, proxy: Proxy, client: socket.socket
) -> None:
    proxy.hold_end_txn(HeldAnswer(dropped=True))

    with pytest.raises(ConnectionResetError):
        ask(client, 1, api_key=END_TXN)

    assert server.answered == 1
    assert proxy.happened["end_txn_dropped"] == 1


def test_a_server_that_is_gone_ends_the_connection(server: FrameServer, proxy: Proxy) -> None:
    server.close()

    with socket.create_connection(address_of(proxy), LIMIT_S) as connection:
        assert connection.recv(1) == b""


@pytest.mark.kafka
def test_clients_of_a_real_broker_stay_behind_the_proxy(session_broker: DevelopmentBroker, tmp_path: Path) -> None:
    # Given a broker whose second listener names the proxy; the session's own only shows that one can be started here
    with Proxy(free_port()) as proxy:
        broker = proxied_brokers(tmp_path / "broker", proxy.ports)
        broker.start()
        try:
            admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
            admin.create_topics([NewTopic("t", 1, 1)])["t"].result(LIMIT_S)
            # When a transaction is committed through it whose answer is lost
            proxy.hold_end_txn(HeldAnswer(dropped=True))
            _commit_one(proxy.address)
            # Then the answer was really lost, and the record is there all the same, once
            assert proxy.happened["end_txn_dropped"] == 1
            assert _stored(broker.bootstrap_servers) == [b"value"]
        finally:
            broker.stop()


def _commit_one(servers: str) -> None:
    producer = Producer({"bootstrap.servers": servers, "transactional.id": "one", "log_level": 0})
    producer.init_transactions(LIMIT_S)
    producer.begin_transaction()
    producer.produce("t", b"value")
    producer.commit_transaction(3 * LIMIT_S)


def _stored(servers: str) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "t", "isolation.level": "read_committed"})
    consumer.assign([TopicPartition("t", 0, 0)])
    found = [message.value() for message in consumer.consume(2, 3.0) if message.error() is None]
    consumer.close()
    return found
