"""A TCP proxy in front of a broker that understands just enough of Kafka's frames to break things where it hurts.

It runs its event loop in a thread of its own, on loopback only. A frame is a 4-byte length and that many bytes; a
request opens with api key, api version and correlation id, its answer with the same correlation id. Every count is of
what has really happened: a frame that was late, a connection that was reset, an answer that was held.
"""

import asyncio
import random
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from workers.stream.broker import free_port

END_TXN = 26
MAX_FRAME_BYTES = 64 * 1024 * 1024
STOP_S = 10.0
LENGTH = struct.Struct(">i")
REQUEST = struct.Struct(">hhi")
CORRELATION = struct.Struct(">i")
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST


@dataclass(frozen=True)
class HeldAnswer:
    """What becomes of the next answer to an EndTxn: late by `delay_s`, or never seen because the connection breaks."""

    delay_s: float = 0.0
    dropped: bool = False


@dataclass
class Weather:
    """What the network is like now. Times are of time.monotonic()."""

    seed: int
    latency_s: float = 0.0
    latency_until: float = 0.0
    hole_until: float = 0.0
    end_txn: deque[HeldAnswer] = field(default_factory=deque)
    happened: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def delay_s(self) -> float:
        """How late the next frame is."""
        if time.monotonic() >= self.latency_until:
            return 0.0
        return self._random.uniform(0.0, 2 * self.latency_s)

    @property
    def is_hole(self) -> bool:
        return time.monotonic() < self.hole_until


class Link:
    """One client's connection and the one to the broker that belongs to it."""

    def __init__(self, weather: Weather, client: "Streams", broker: "Streams") -> None:
        self._weather, self._client, self._broker = weather, client, broker
        self._held: dict[int, HeldAnswer] = {}
        self.has_lost = False

    async def carry(self) -> None:
        """Carry frames both ways until one side ends."""
        pumps = [asyncio.create_task(self._requests()), asyncio.create_task(self._answers())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._weather.end_txn.extend(self._held.values())  # never answered: they are still to come
            self._client.close()
            self._broker.close()

    def reset(self) -> None:
        """Break the connection as a firewall does that has forgotten it: the client gets RST."""
        self._client.reset()
        self._broker.reset()

    async def _requests(self) -> None:
        while frame := await self._client.frame():
            if not await self._gets_through():
                continue
            api_key, _, correlation = REQUEST.unpack_from(frame)
            if api_key == END_TXN and self._weather.end_txn:
                self._held[correlation] = self._weather.end_txn.popleft()
            await self._broker.send(frame)

    async def _answers(self) -> None:
        while frame := await self._broker.frame():
            if not await self._gets_through():
                continue
            held = self._held.pop(CORRELATION.unpack_from(frame)[0], None)
            if held is not None and held.dropped:
                self._weather.happened["end_txn_dropped"] += 1
                return self.reset()
            if held is not None:
                self._weather.happened["end_txn_delayed"] += 1  # also if the client gives up before it gets it
                await asyncio.sleep(held.delay_s)
            await self._client.send(frame)

    async def _gets_through(self) -> bool:
        """Wait out the latency; False for a frame that is swallowed."""
        if self._weather.is_hole:
            self.has_lost = True
            self._weather.happened["frames_swallowed"] += 1
            return False
        if delay_s := self._weather.delay_s():
            await asyncio.sleep(delay_s)
            self._weather.happened["frames_late"] += 1
        return True


@dataclass(frozen=True)
class Streams:
    """One connection, in frames."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def frame(self) -> bytes:
        """The next one without its length; empty when the connection has ended or what comes is no frame."""
        try:
            (length,) = LENGTH.unpack(await self.reader.readexactly(LENGTH.size))
            return await self.reader.readexactly(length) if 8 <= length <= MAX_FRAME_BYTES else b""
        except (asyncio.IncompleteReadError, OSError):
            return b""

    async def send(self, frame: bytes) -> None:
        with suppress(OSError):
            self.writer.writelines((LENGTH.pack(len(frame)), frame))
            await self.writer.drain()

    def reset(self) -> None:
        with suppress(OSError):
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.writer.transport.abort()

    def close(self) -> None:
        with suppress(OSError, RuntimeError):
            self.writer.close()


class Proxy:
    """127.0.0.1:`port` in front of 127.0.0.1:`upstream_port`; faults are ordered from any thread."""

    def __init__(self, upstream_port: int, port: int | None = None, seed: int = 0) -> None:
        self.port = free_port() if port is None else port
        self.upstream_port = upstream_port
        self.weather = Weather(seed)
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def happened(self) -> Counter[str]:
        return self.weather.happened

    @property
    def is_quiet(self) -> bool:
        """No latency and no black hole at the moment."""
        return time.monotonic() >= max(self.weather.latency_until, self.weather.hole_until)

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
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self._listening.set()
        await self._stopping.wait()
        server.close()
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = Streams(reader, writer)
        try:
            broker = Streams(*await asyncio.open_connection("127.0.0.1", self.upstream_port))
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
