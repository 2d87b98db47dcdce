"""Decompression with a bound: what a batch unpacks to is its producer's choice, and 22 kB can be 700 MiB.

The client library unpacks without a limit, so batches are unpacked here first. Every codec writes into at most
`most` bytes, whatever the batch says of itself.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import cramjam

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
NAMES = {NONE: "none", GZIP: "gzip", SNAPPY: "snappy", LZ4: "lz4", ZSTD: "zstd"}

GZIP_WINDOW = 31  # zlib's word for a gzip header and trailer
XERIAL_MAGIC = b"\x82SNAPPY\x00"  # Java's snappy: blocks, each behind its length
XERIAL_HEADER_BYTES = 16
BLOCK_LENGTH = struct.Struct(">i")
ROOM_BYTES, USUAL_RATIO = 16 * 1024, 16
NO_ROOM = "whole buffer"  # cramjam's word for an output that does not fit


class CannotUnpack(Exception):
    """The bytes are not what their codec says, or there is no such codec."""


class UnpacksToTooMuch(CannotUnpack):
    """There is more in it than is unpacked."""


def unpack(codec: int, packed: memoryview, most: int) -> memoryview:
    """The bytes packed by `codec`, at most `most` of them. CannotUnpack, of which UnpacksToTooMuch is one."""
    if codec == NONE:
        return packed
    if codec not in _UNPACK:
        raise CannotUnpack(f"codec {codec} is unknown")
    try:
        return _UNPACK[codec](packed, most)
    except (zlib.error, cramjam.DecompressionError, struct.error, ValueError) as error:
        raise CannotUnpack(f"{NAMES[codec]}: {error}") from None


def _too_much(most: int) -> UnpacksToTooMuch:
    return UnpacksToTooMuch(f"it unpacks to more than {most:,} bytes")


def _gunzip(packed: memoryview, most: int) -> memoryview:
    """Members one behind the other, as gzip allows."""
    found, rest = bytearray(), bytes(packed)
    while rest:
        member = zlib.decompressobj(GZIP_WINDOW)
        found += member.decompress(rest, most - len(found) + 1)
        if len(found) > most:
            raise _too_much(most)
        if not member.eof:
            raise CannotUnpack("gzip: it ends in the middle")
        rest = member.unused_data
    return memoryview(found)


def _unsnappy(packed: memoryview, most: int) -> memoryview:
    found = bytearray()
    for block in _snappy_blocks(packed):
        if len(found) + cramjam.snappy.decompress_raw_len(block) > most:
            raise _too_much(most)
        found += bytes(cramjam.snappy.decompress_raw(block))
    return memoryview(found)


def _snappy_blocks(packed: memoryview) -> Iterator[bytes]:
    if bytes(packed[: len(XERIAL_MAGIC)]) != XERIAL_MAGIC:
        yield bytes(packed)
        return
    at = XERIAL_HEADER_BYTES
    while at < len(packed):
        (length,) = BLOCK_LENGTH.unpack_from(packed, at)
        at += BLOCK_LENGTH.size
        if not 0 < length <= len(packed) - at:
            raise CannotUnpack("snappy: a block has more bytes than there are")
        yield bytes(packed[at : at + length])
        at += length


def _into(module: Any) -> Callable[[memoryview, int], memoryview]:
    """A codec that writes into a buffer of fixed size: one that honest batches fit, or else the largest."""

    def unpack_into(packed: memoryview, most: int) -> memoryview:
        for size in (min(most, ROOM_BYTES + USUAL_RATIO * len(packed)), most):
            room = bytearray(size)
            try:
                return memoryview(room)[: module.decompress_into(bytes(packed), room)]
            except cramjam.DecompressionError as error:
                if NO_ROOM not in str(error):
                    raise
        raise _too_much(most)

    return unpack_into


_UNPACK = {GZIP: _gunzip, SNAPPY: _unsnappy, LZ4: _into(cramjam.lz4), ZSTD: _into(cramjam.zstd)}
