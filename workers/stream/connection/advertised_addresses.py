"""The addresses that brokers give for themselves: a client asks once at the bootstrap address, then only there."""

import asyncio
from typing import Any

from workers.errors import Unsuitable

CONNECT_TIMEOUT_S = 9.0


async def check_advertised(client: Any, bootstrap_servers: str) -> None:
    """Unsuitable: a broker answers at the bootstrap address and names others, where nobody answers.

    Where a bootstrap address is among those named, the broker may just have died: that is not judged here.
    """
    brokers = client.cluster.brokers()
    named = sorted({f"{broker.host}:{broker.port}" for broker in brokers})
    known = {address.strip() for address in bootstrap_servers.split(",")}
    if not named or known & set(named) or await _any_answers(client, [broker.nodeId for broker in brokers]):
        return
    raise Unsuitable(
        f"Kafka at {bootstrap_servers} answers and sends its clients to {', '.join(named)}, where nobody answers from "
        "this machine. Set advertised.listeners of the brokers to addresses that can be reached from here, or give "
        "the address of a listener for this network (--bootstrap-servers, TESSERA_BOOTSTRAP_SERVERS)"
    )


async def _any_answers(client: Any, nodes: list[int]) -> bool:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            for node in nodes:
                if await client.ready(node):
                    return True
    except TimeoutError:
        pass
    return False
