"""What is committed beside an offset comes back as it was, or is refused."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import OffsetLost
from workers.stream.offsets import WINDOW, Completion, read_completion

MOST_BYTES = 4_096  # offset.metadata.max.bytes of a broker


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    base = draw(st.integers(0, 2**62))
    beyond = draw(st.frozensets(st.integers(0, WINDOW - 1), max_size=60))
    return Completion(base, frozenset(base + offset for offset in beyond), draw(st.integers(0, 255)))


@given(completions())
def test_completion_metadata_decodes_to_what_was_encoded(completion: Completion) -> None:
    assert read_completion(completion.base, completion.metadata()) == completion


def test_without_metadata_no_offset_is_finished_out_of_order() -> None:
    assert read_completion(7, "") == Completion(7)
    assert Completion(7).metadata() == ""


def test_the_largest_completion_metadata_fits_the_brokers_limit() -> None:
    full = Completion(10**15, frozenset(range(10**15, 10**15 + WINDOW)), 255)

    assert len(full.metadata().encode()) < MOST_BYTES // 4
    assert read_completion(full.base, full.metadata()) == full


@given(completions(), st.data())
def test_damaged_completion_metadata_is_refused(completion: Completion, data: st.DataObject) -> None:
    packed = completion.metadata()
    if not packed:
        return
    raw = bytearray(base64.b64decode(packed.removeprefix("1:")))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(OffsetLost, match="checksum"):
        read_completion(completion.base, "1:" + base64.b64encode(raw).decode())


def test_completion_metadata_of_another_offset_is_refused() -> None:
    with pytest.raises(OffsetLost, match="checksum"):
        read_completion(8, Completion(7, frozenset({9}), 1).metadata())


@pytest.mark.parametrize("foreign", ["2:AAAA", "instance-7", "1", "1:", "1:????", "1:AAAA", "1:AAAAAA==", " "])
def test_offset_metadata_of_another_program_is_refused(foreign: str) -> None:
    with pytest.raises(OffsetLost):
        read_completion(7, foreign)
