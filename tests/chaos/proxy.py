"""A TCP proxy in front of brokers that understands just enough of Kafka's frames to break things where it hurts.

It runs its event loop in a thread of its own, on loopback only; `link.py` carries the frames of each connection,
`weather.py` says what becomes of them.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Self

from tests.chaos.link import Link, Streams
from tests.chaos.weather import HeldAnswer, Weather
from workers.devkafka.ports import free_ports

STOP_S = 10.0


class Proxy:
    """A port of its own in front of each broker's, all of 127.0.0.1; faults meet all and come from any thread."""

    def __init__(self, *upstream_ports: int, seed: int = 0) -> None:
        self.ports = dict(zip(upstream_ports, free_ports(len(upstream_ports)), strict=True))  # by the broker's
        self.weather = Weather(seed)
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    @property
    def address(self) -> str:
        """As bootstrap servers."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports.values())

    @property
    def happened(self) -> Counter[str]:
        return self.weather.happened

    @property
    def is_quiet(self) -> bool:
        return self.weather.is_quiet

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(STOP_S), f"the proxy does not listen at {self.address}"
        return self

    def __exit__(self, *exception: object) -> None:
        self._do(self._stopping.set)
        self._thread.join(STOP_S)

    def slow_down(self, latency_s: float, for_s: float) -> None:
        """Every frame, both ways, late by up to twice `latency_s`."""
        self.weather.latency_s, self.weather.latency_until = latency_s, time.monotonic() + for_s

    def swallow(self, for_s: float) -> None:
        """Accept and read everything, pass nothing on. Connections that lost something are reset in the end."""
        self.weather.hole_until = time.monotonic() + for_s
        self._do(lambda: self._loop.call_later(for_s, self._reset, lambda link: link.has_lost) and None)

    def reset(self) -> None:
        """Break all connections at once."""
        self._do(lambda: self._reset(lambda _: True))

    def hold_end_txn(self, held: HeldAnswer) -> None:
        """The next answer to an EndTxn that really comes is late or lost; the broker has processed the request."""
        self.weather.end_txn.append(held)

    def heal(self) -> None:
        """Fair weather from now on."""
        self.weather.latency_until = self.weather.hole_until = 0.0
        self.weather.end_txn.clear()
        self._do(lambda: self._reset(lambda link: link.has_lost))

    def _do(self, action: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(action)

    def _reset(self, which: Callable[[Link], bool]) -> None:
        chosen = [link for link in self._links if which(link)]
        self.weather.happened["connections_reset"] += len(chosen)
        for link in chosen:
            link.reset()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        servers = [
            await asyncio.start_server(partial(self._accept, upstream), "127.0.0.1", port)
            for upstream, port in self.ports.items()
        ]
        self._listening.set()
        await self._stopping.wait()
        for server in servers:
            server.close()
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, upstream: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = Streams(reader, writer)
        try:
            broker = Streams(*await asyncio.open_connection("127.0.0.1", upstream))
        except OSError:
            client.close()
        else:
            await self._carry(Link(self.weather, client, broker))
        finally:
            self._tasks.discard(task)

    async def _carry(self, link: Link) -> None:
        self._links.add(link)
        try:
            with suppress(asyncio.CancelledError):
                await link.carry()
        finally:
            self._links.discard(link)
