"""The addresses of Kafka's brokers, checked before anybody connects."""

import re
import socket

MAX_PORT = 65_535
HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^\s:/\\\[\]@#?]+)(?::([0-9]{1,9}))?")


def broker_addresses(servers: str) -> str:
    """What was given. ValueError: it is no list of `host:port`; a port that is left out is Kafka's usual one, 9092."""
    for address in servers.split(","):
        _check(address.strip())
    return servers


def _check(address: str) -> None:
    if _is_ipv6(address):
        return
    found = HOST_AND_PORT.fullmatch(address)
    if not found:
        raise ValueError(f"{address!r} is no address: brokers are given as host:port[,host:port...]")
    if found[2] is not None and not 1 <= int(found[2]) <= MAX_PORT:
        raise ValueError(f"{address!r} has no port between 1 and {MAX_PORT}")


def _is_ipv6(address: str) -> bool:
    """Without brackets it has no port of its own."""
    try:
        socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):
        return False
    return True
