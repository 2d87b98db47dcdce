"""The addresses of Kafka's brokers, checked before anybody connects."""

import re
import socket
from typing import Annotated

from pydantic import AfterValidator

MAX_PORT = 65_535
HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/\\\[\]@#?]+)(?::([0-9]{1,9}))?")


def _each_is_an_address(servers: str) -> str:
    """ValueError for what is no list of `host:port`; a port that is left out is Kafka's usual one, 9092."""
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


#: `host:port[,host:port...]`.
BrokerAddresses = Annotated[str, AfterValidator(_each_is_an_address)]
