"""Batches to be sent whose headers have names that are not UTF-8: aiokafka's own builder takes none of these."""

from typing import Any

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as PythonBuilder

from schemas.record import NAME_ERRORS, Outgoing

FORMAT, UNPACKED, NOBODY = 2, 0, -1


class RawName(str):
    """A header's name whose lone surrogates are the bytes they were read from."""

    def encode(self, encoding: str = "utf-8", errors: str = NAME_ERRORS) -> bytes:
        """The bytes that the name was read from."""
        return super().encode(encoding, errors)


class RawNamesBatch(BatchBuilder):  # type: ignore[misc]  # aiokafka ships no types
    """A batch of one record, built in Python, which encodes a name by the name's own method."""

    def __init__(self, record: Outgoing, *, is_transactional: bool) -> None:
        super().__init__(0, UNPACKED, is_transactional=is_transactional)
        state = {"producer_id": NOBODY, "producer_epoch": NOBODY, "base_sequence": 0, "batch_size": 0}
        self._builder = PythonBuilder(FORMAT, UNPACKED, is_transactional=is_transactional, **state)
        headers = [(RawName(name), value) for name, value in record.headers]
        self.append(timestamp=None, key=record.key, value=record.value, headers=headers)
        self.close()

    def _set_producer_state(self, *state: Any) -> None:
        """The library's asserts that the builder is its own."""
        self._builder.set_producer_state(*state)


def has_raw_names(record: Outgoing) -> bool:
    """Whether a name of its headers is not UTF-8."""
    return not all(name.isascii() or _is_text(name) for name, _ in record.headers)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
