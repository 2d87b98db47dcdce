"""Batches as strangers send them who send what no client library would: bombs, odd names of headers, heaps of records.

Each is a whole batch of message format 2 with a right checksum: Kafka takes it, and what it holds is the readers'
trouble. `produce_batches` writes them as they are.
"""

import asyncio
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cramjam
from aiokafka import AIOKafkaProducer
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c, encode_varint

from schemas.reasons import DeadLetterReason as Reason
from schemas.topics import QUERIES

MEBIBYTE = 1024 * 1024
NOW_MS = 1_767_225_600_000
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
ENCODE: dict[int, Callable[[bytes], bytes]] = {
    NONE: bytes,
    GZIP: gzip_encode,
    SNAPPY: snappy_encode,
    LZ4: lz4_encode,
    ZSTD: zstd_encode,
}
HEADER = struct.Struct(">qiibIhiqqqhii")
CRC_AT, BEHIND_CRC = 17, 21

RawHeaders = Sequence[tuple[bytes, bytes | None]]


@dataclass(frozen=True)
class PoisonedBatch:
    """One kind: a batch, and the dead letters that must come of it; `answers` of the sound queries in it get theirs.

    `make` is given the values of `needs` sound queries of ids of their own, or without ids.
    """

    name: str
    make: Callable[[Sequence[bytes]], bytes]
    reason: Reason | None
    answers: int = 0
    letters: int = 1

    @property
    def needs(self) -> int:
        return max(1, self.answers)


def raw_record(value: bytes | None, number: int = 0, key: bytes | None = None, headers: RawHeaders = ()) -> bytes:
    """A record as it stands in a batch."""
    body = bytearray(b"\0") + varint(0) + varint(number) + field(key) + field(value) + varint(len(headers))
    for name, content in headers:
        body += field(name) + field(content)
    return bytes(varint(len(body)) + body)


def field(content: bytes | None) -> bytes:
    return varint(-1) if content is None else varint(len(content)) + content


def varint(number: int) -> bytes:
    found = bytearray()
    encode_varint(number, found.append)
    return bytes(found)


def batch(records: Sequence[bytes], codec: int = NONE) -> bytes:
    """The records in one batch, packed."""
    return sealed(ENCODE[codec](b"".join(records)), len(records), codec)


def sealed(packed: bytes, count: int, codec: int, base_offset: int = 0) -> bytes:
    """A header and its checksum before what is packed already."""
    fields = (codec, count - 1, NOW_MS, NOW_MS, -1, -1, -1, count)
    whole = bytearray(HEADER.pack(base_offset, HEADER.size - 12 + len(packed), -1, 2, 0, *fields) + packed)
    struct.pack_into(">I", whole, CRC_AT, calc_crc32c(bytes(whole[BEHIND_CRC:])))
    return bytes(whole)


def zstd_bomb(size: int, sound: Sequence[bytes] = ()) -> bytes:
    """A value of `size` times one letter, packed as it is made; sound queries may follow in the same batch."""
    head = b"\0" + varint(0) + varint(0) + varint(-1) + varint(size)
    press = cramjam.zstd.Compressor()
    press.compress(varint(len(head) + size + 1) + head)
    for left in range(size, 0, -MEBIBYTE):
        press.compress(b"a" * min(MEBIBYTE, left))
    press.compress(varint(0) + b"".join(raw_record(value, number) for number, value in enumerate(sound, 1)))
    return sealed(bytes(press.finish()), 1 + len(sound), ZSTD)


def _bomb(codec: int, size: int) -> Callable[[Sequence[bytes]], bytes]:
    return lambda _: batch([raw_record(b"a" * size)], codec)


def _with_headers(*headers: tuple[bytes, bytes | None]) -> Callable[[Sequence[bytes]], bytes]:
    return lambda good: batch([raw_record(good[0], headers=headers)])


TRACE = bytes(range(200, 224))
BATCHES = (
    PoisonedBatch("20 MiB in zstd", lambda _: zstd_bomb(20 * MEBIBYTE), Reason.TOO_LARGE),
    PoisonedBatch("20 MiB in gzip", _bomb(GZIP, 20 * MEBIBYTE), Reason.TOO_LARGE),
    PoisonedBatch("20 MiB in lz4", _bomb(LZ4, 20 * MEBIBYTE), Reason.TOO_LARGE),
    PoisonedBatch("20 MiB in snappy", _bomb(SNAPPY, 20 * MEBIBYTE), Reason.TOO_LARGE),
    PoisonedBatch("700 MiB in zstd", lambda _: zstd_bomb(700 * MEBIBYTE), Reason.TOO_LARGE),
    PoisonedBatch(
        "20 MiB before two sound queries in its batch",
        lambda good: zstd_bomb(20 * MEBIBYTE, good),
        Reason.TOO_LARGE,
        answers=2,
    ),
    PoisonedBatch("no key and no value", lambda _: batch([raw_record(None)]), Reason.BAD_JSON),
    PoisonedBatch(
        "a key of 10 MiB", lambda good: batch([raw_record(good[0], key=b"k" * 10 * MEBIBYTE)], ZSTD), Reason.BAD_KEY
    ),
    PoisonedBatch(
        "a million headers",
        lambda good: batch([raw_record(good[0], headers=[(b"h", b"")] * 1_000_000)], ZSTD),
        Reason.BAD_HEADERS,
    ),
    PoisonedBatch(
        "2,000 headers", lambda good: batch([raw_record(good[0], headers=[(b"h", b"v")] * 2_000)]), Reason.BAD_HEADERS
    ),
    PoisonedBatch("the name of our own header not UTF-8", _with_headers((b"ce_caf\xe9", b"1")), Reason.BAD_HEADERS),
    PoisonedBatch(
        "the name of another's header not UTF-8",
        _with_headers((b"x-caf\xe9", b"1"), (b"\xff", None)),
        None,
        1,
        letters=0,
    ),
    PoisonedBatch(
        "24 bytes of a tracing context",
        _with_headers((b"trace-bin", TRACE), (b"number", struct.pack(">q", -7)), (b"latin", b"caf\xe9")),
        None,
        answers=1,
        letters=0,
    ),
    PoisonedBatch(
        "a thousand letters in one batch",
        lambda _: batch([raw_record(b"{}", number) for number in range(1_000)], LZ4),
        Reason.BAD_SCHEMA,
        letters=1_000,
    ),
    PoisonedBatch(
        "more records in one batch than are read",
        lambda _: batch([raw_record(b"", number) for number in range(100_001)], ZSTD),
        Reason.TOO_LARGE,
    ),
)
BY_NAME = {kind.name: kind for kind in BATCHES}


class SealedBatch(BatchBuilder):  # type: ignore[misc]  # aiokafka ships no types
    """A batch for aiokafka's producer that is sent as it is."""

    def __init__(self, whole: bytes) -> None:
        self._buffer, self._closed = whole, True
        self._relative_offset = HEADER.unpack_from(whole)[-1]


async def write_batches(kafka: str, batches: Iterable[bytes], topic: str = QUERIES.name, partition: int = 0) -> Any:
    """Where each of them lies: aiokafka's metadata, in order. KafkaError: Kafka does not take one."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        return [await (await producer.send_batch(SealedBatch(whole), topic, partition=partition)) for whole in batches]
    finally:
        await producer.stop()


def produce_batches(kafka: str, batches: Iterable[bytes], topic: str = QUERIES.name, partition: int = 0) -> Any:
    """`write_batches` for tests without a loop."""
    return asyncio.run(write_batches(kafka, batches, topic, partition))
