"""Ports of 127.0.0.1 for brokers: which are free, and whether somebody answers."""

import os
import secrets
import socket

from workers.errors import BrokerError

# Below the ports that the kernel gives to outgoing connections: a client that keeps knocking at a killed broker's port
# in that range can be given the very same port and then talks to itself.
FREE_PORTS = range(20_000, 32_000)
ANSWER_TIMEOUT_S = 1.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment; BrokerError when none is found."""
    for _ in range(100):
        port = FREE_PORTS[secrets.randbelow(len(FREE_PORTS))]
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise BrokerError(f"no free port between {FREE_PORTS.start} and {FREE_PORTS.stop}")


def free_ports(count: int) -> tuple[int, ...]:
    """As many different ones."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return tuple(ports)


def refuse_taken_port(port: int) -> None:
    """BrokerError where nobody could listen."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise BrokerError(f"port {port} cannot be used: {why}; choose another with --port") from None


def port_answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_S).close()
    except OSError:
        return False
    return True
