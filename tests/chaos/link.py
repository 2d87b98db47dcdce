"""One client's way through the proxy, in frames of Kafka's protocol, under the weather of the moment.

A frame is a 4-byte length and that many bytes; a request opens with api key, api version and correlation id, its
answer with the same correlation id.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

from tests.chaos.weather import HeldAnswer, Weather

END_TXN = 26
MAX_FRAME_BYTES = 64 * 1024 * 1024
LENGTH = struct.Struct(">i")
REQUEST = struct.Struct(">hhi")
CORRELATION = struct.Struct(">i")
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST


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


class Link:
    """One client's connection and the one to the broker that belongs to it."""

    def __init__(self, weather: Weather, client: Streams, broker: Streams) -> None:
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
