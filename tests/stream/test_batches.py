"""What a fetch's answer may hold without ending its reader: bombs, odd headers, damage, and formats of before."""

import gzip
import random
import struct
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from schemas.reasons import DeadLetterReason as Reason
from schemas.record import Outgoing, Record
from tests.support.poisoned_batches import (
    BATCHES,
    BY_NAME,
    ENCODE,
    GZIP,
    LZ4,
    MEBIBYTE,
    ZSTD,
    PoisonedBatch,
    batch,
    raw_record,
    sealed,
    zstd_bomb,
)
from workers.stream.reader import as_record
from workers.stream.wire.batches import MOST_UNPACKED_BYTES, FetchedBatches
from workers.stream.wire.decompression import NAMES, CannotUnpack, UnpacksToTooMuch, unpack
from workers.stream.wire.raw_names import RawNamesBatch, has_raw_names

PLACE = TopicPartition("topic", 3)
GOOD = b'{"text":"?"}'


def read(answer: bytes, at: int = 0) -> list[Record]:
    """What the consumer makes of an answer that was asked for from offset `at` on; its own code, our batches."""
    return [as_record(record) for record in _iterator(answer, at)]


def _iterator(answer: bytes, at: int = 0) -> Any:
    return fetcher.PartitionRecords(PLACE, fetcher.MemoryRecords(answer), [], at, None, None, True, 1)


def at_offset(whole: bytes, offset: int) -> bytes:
    """The batch as it is stored at an offset; the checksum does not cover that."""
    return struct.pack(">q", offset) + whole[8:]


def test_the_consumer_decodes_by_our_batch_reader() -> None:
    """The seam: a release of aiokafka that looks elsewhere must fail here, not in production."""
    assert fetcher.MemoryRecords is FetchedBatches
    (record,) = read(at_offset(batch([raw_record(GOOD, key=b"k", headers=[(b"a", None)])]), 7))
    assert (record.topic, record.partition, record.offset) == ("topic", 3, 7)
    assert (record.key, record.value, record.headers, record.flaw) == (b"k", GOOD, (("a", None),), None)


@pytest.mark.parametrize("codec", ENCODE, ids=NAMES.get)
def test_every_codec_is_decoded_as_the_library_decodes_it(codec: int) -> None:
    records = [raw_record(GOOD * number, number, b"k", [(b"n", b"%d" % number)]) for number in range(1_000)]

    found = read(batch(records, codec) + at_offset(batch(records, codec), 1_000))

    assert [record.offset for record in found] == list(range(2_000))
    assert [record.value for record in found[:1_000]] == [GOOD * number for number in range(1_000)]
    assert [record.headers for record in found[1_000:]] == [(("n", b"%d" % number),) for number in range(1_000)]


@pytest.mark.parametrize("kind", BATCHES, ids=lambda kind: kind.name)
def test_every_batch_that_kafka_accepts_is_read_and_the_record_behind_it_too(kind: PoisonedBatch) -> None:
    poisoned = kind.make([GOOD] * kind.needs)
    (count,) = struct.unpack_from(">i", poisoned, 57)
    behind = at_offset(batch([raw_record(GOOD)]), count)

    found, next_offset = [], 0
    for _ in range(3):  # an answer ends early behind what is large: the consumer asks again
        iterator = _iterator(poisoned + behind if next_offset < count else behind, next_offset)
        found += [as_record(record) for record in iterator]
        next_offset = iterator.next_fetch_offset

    assert found[-1].offset == count
    assert found[-1].value == GOOD
    assert next_offset == count + 1


def test_a_batch_that_cannot_be_unpacked_is_one_record_at_its_last_offset_that_names_the_offsets_covered() -> None:
    whole = at_offset(sealed(b"not zstd", 5, ZSTD), 40)

    (record,) = read(whole, at=42)

    assert record.offset == 44
    assert record.value == whole
    assert record.flaw is not None
    assert record.flaw.reason is Reason.UNREADABLE
    assert dict(record.flaw.about) == {
        "dlq.batch.first_offset": b"40",
        "dlq.batch.last_offset": b"44",
        "dlq.batch.codec": b"zstd",
    }
    assert "offsets 40 to 44" in record.flaw.message


def test_reading_on_behind_a_flawed_batch_does_not_return_it_again() -> None:
    assert read(at_offset(sealed(b"not zstd", 5, ZSTD), 40), at=45) == []


def test_a_decompression_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = zstd_bomb(700 * MEBIBYTE)
    assert len(bomb) < 30_000

    (record,) = read(bomb)

    assert record.flaw is not None
    assert record.flaw.reason is Reason.TOO_LARGE
    assert record.value == bomb


@pytest.mark.parametrize("codec", set(ENCODE) - {0}, ids=NAMES.get)
def test_no_codec_unpacks_more_than_it_may(codec: int) -> None:
    for size in (0, 1, 99_999, 100_000):
        packed = memoryview(ENCODE[codec](b"a" * size))
        assert bytes(unpack(codec, packed, 100_000)) == b"a" * size
    for size in (100_001, 10_000_000):
        with pytest.raises(UnpacksToTooMuch):
            unpack(codec, memoryview(ENCODE[codec](b"a" * size)), 100_000)


@pytest.mark.parametrize("codec", set(ENCODE) - {0}, ids=NAMES.get)
def test_bytes_that_are_not_of_their_codec_are_refused_in_our_own_words(codec: int) -> None:
    packed, dice = ENCODE[codec](b"a sound text, " * 100), random.Random(1)
    for _ in range(300):
        spoilt = bytearray(packed)
        for _ in range(dice.randrange(1, 4)):
            spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
        try:
            unpack(codec, memoryview(spoilt), 100_000)
        except CannotUnpack:
            pass
        with pytest.raises(CannotUnpack):
            unpack(codec, memoryview(packed)[: dice.randrange(17, len(packed) - 12)], 100_000)


def test_gzip_with_several_members_is_decoded_whole() -> None:
    assert bytes(unpack(GZIP, memoryview(gzip.compress(b"a") + gzip.compress(b"b")), 10)) == b"ab"


def test_an_unknown_codec_is_a_record_with_a_flaw() -> None:
    (record,) = read(sealed(b"?", 1, 6))
    assert record.flaw is not None
    assert record.flaw.reason is Reason.UNREADABLE


def test_records_before_what_cannot_be_parsed_are_read() -> None:
    records = [raw_record(GOOD), raw_record(GOOD, 1), b"\x7f\x01"]

    one, two, rest = read(batch(records, LZ4))

    assert (one.value, two.value) == (GOOD, GOOD)
    assert rest.offset == 2
    assert rest.flaw is not None
    assert dict(rest.flaw.about)["dlq.batch.first_offset"] == b"2"


def test_bytes_of_no_record_are_a_flaw_whatever_they_are() -> None:
    dice = random.Random(2)
    sound = raw_record(GOOD, key=b"k", headers=[(b"n", b"v")])
    for turn in range(2_000):
        spoilt = bytearray(sound)
        spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
        large = [raw_record(b"x" * 2 * MEBIBYTE, 1)] if turn % 40 == 0 else []  # the library's parser, or ours alone
        assert read(batch([bytes(spoilt), *large]))  # none raises


def test_a_name_that_is_not_utf_8_keeps_its_bytes() -> None:
    kind = BY_NAME["the name of another's header not UTF-8"]

    (record,) = read(kind.make([GOOD]))

    names = [name.encode(errors="surrogateescape") for name, _ in record.headers]
    assert (names, record.flaw) == ([b"x-caf\xe9", b"\xff"], None)


def test_an_answer_unpacks_about_one_limit_and_the_consumer_asks_again() -> None:
    size = MOST_UNPACKED_BYTES // 2 + 1
    answer = b"".join(at_offset(zstd_bomb(size), offset) for offset in range(50))

    iterator = _iterator(answer)

    assert [len(as_record(record).value or b"") for record in iterator] == [size, size]
    assert iterator.next_fetch_offset == 2


def test_a_wrong_checksum_is_reported_as_damage() -> None:
    damaged = bytearray(at_offset(batch([raw_record(GOOD), raw_record(GOOD, 1)]), 1))
    damaged[-3] ^= 1

    before, record, behind = read(batch([raw_record(GOOD)]) + bytes(damaged) + at_offset(batch([raw_record(GOOD)]), 3))

    assert (before.offset, record.offset, behind.offset) == (0, 2, 3)
    assert record.flaw is not None
    assert record.flaw.is_damage
    assert "offsets 1 to 2" in record.flaw.message
    assert "checksum is wrong" in record.flaw.message
    assert record.value == bytes(damaged)


def test_an_answer_that_ends_in_the_middle_of_a_batch_is_read_up_to_there() -> None:
    sound = batch([raw_record(GOOD)])
    assert len(read(sound + at_offset(sound, 1)[:-1])) == 1
    assert not FetchedBatches(sound[:-1]).has_next()
    assert FetchedBatches(sound[:-1]).size_in_bytes() == len(sound) - 1


def test_garbage_in_place_of_a_batch_is_reported_as_damage() -> None:
    dice = random.Random(3)
    for length in range(12, 80):
        garbage = struct.pack(">qi", 0, length - 12) + dice.randbytes(length - 12)
        (record,) = read(garbage)
        assert record.flaw is not None
        assert record.flaw.is_damage


def _legacy(magic: int, codec: int, values: Iterator[bytes]) -> bytes:
    builder = LegacyRecordBatchBuilder(magic, codec, 1 << 30)
    for number, value in enumerate(values):
        builder.append(number, None, b"k", value)
    return bytes(builder.build())


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [0, GZIP, 2])
def test_older_message_formats_are_read(magic: int, codec: int) -> None:
    found = read(_legacy(magic, codec, iter([GOOD, GOOD])))
    assert [(record.offset, record.key, record.value) for record in found] == [(0, b"k", GOOD), (1, b"k", GOOD)]
    assert all(isinstance(record.timestamp_ms, int) for record in found)


def test_a_decompression_bomb_in_an_older_message_format_is_not_unpacked() -> None:
    (record,) = read(_legacy(1, GZIP, iter([b"a" * 2 * MOST_UNPACKED_BYTES])))
    assert record.flaw is not None
    assert record.flaw.reason is Reason.TOO_LARGE


def test_a_message_packed_twice_is_a_flaw() -> None:
    inner = _legacy(1, GZIP, iter([GOOD]))
    outer = bytearray(_legacy(1, 0, iter([gzip.compress(inner)])))
    outer[17] |= GZIP
    struct.pack_into(">I", outer, 12, zlib.crc32(bytes(outer[16:])))

    (record,) = read(bytes(outer))

    assert record.flaw is not None
    assert record.flaw.reason is Reason.UNREADABLE


@pytest.mark.parametrize("count", [1, 100], ids=["alone", "in batches"])
def test_reading_takes_little_longer_than_by_the_library(count: int) -> None:
    headers = [(b"ce_%d" % number, b"value") for number in range(10)]
    whole = batch([raw_record(GOOD * 50, number, b"key", headers) for number in range(count)])
    answer = b"".join(at_offset(whole, offset) for offset in range(0, 2_000, count))

    def seconds(kind: Any) -> float:
        began = time.process_time()  # other programs' time is not ours
        for _ in fetcher.PartitionRecords(PLACE, kind(answer), [], 0, None, None, True, 1):
            pass
        return time.process_time() - began

    rounds = [(seconds(FetchedBatches), seconds(MemoryRecords)) for _ in range(5)]  # side by side: both when it is busy
    ours, theirs = map(min, zip(*rounds, strict=True))
    assert ours < 10 * theirs, (ours, theirs)


@pytest.mark.parametrize("key", [b"k", None], ids=["keyed", "without key and value"])
def test_a_name_that_is_not_utf_8_is_written_byte_for_byte(key: bytes | None) -> None:
    headers = (("caf\udce9", b"\xff"), ("\udcff", None), ("plain", b""))
    record = Outgoing("topic", key, GOOD if key else None, headers)
    assert has_raw_names(record)

    sent = RawNamesBatch(record, is_transactional=True)
    sent._set_producer_state(7, 1, 3)
    whole = bytes(sent._build())
    (found,) = read(whole)

    assert (found.key, found.value, found.headers, found.flaw) == (key, record.value, headers, None)
    assert whole[61:] == raw_record(record.value, 0, key, [(b"caf\xe9", b"\xff"), (b"\xff", None), (b"plain", b"")])
    batched = DefaultRecordBatch(whole)
    assert (batched.producer_id, batched.producer_epoch, batched.base_sequence) == (7, 1, 3)
    assert batched.is_transactional
    assert not has_raw_names(Outgoing("topic", key, None, (("café", b"\xff"),)))
