"""One event of each type and version as it was once published: readers keep reading them.

The samples are lines of auctions of the null engine under the public key of `tessera demo`. They are never written
again. A version that gains an optional field gets another sample, `<type>.2.jsonl`; the older then only have to decode.
"""

import re
from pathlib import Path

import pytest

from schemas.envelope import Event
from schemas.lines import read_event, to_line
from schemas.payload import Payload
from schemas.topics import BY_NAME, CHARGED, SCORED, SETTLED, TOPICS
from tests.support.builders import settle
from workers.settings import DEMO_DRAW_KEY

SAMPLES = {path.stem: path for path in sorted((Path(__file__).parent / "samples").glob("*.jsonl"))}
#: Before the draw had epochs; since; with proposal, scores and rewards of other models; with whose deadline it is; with
#: the query's record; with its consent, and the generated event's digest; with the seeds.
GENERATIONS = ("", ".2", ".3", ".4", ".5", ".6", ".8")


def type_of(name: str) -> str:
    return re.sub(r"\.\d+$", "", name)


def is_newest(name: str) -> bool:
    return name == max(other for other in SAMPLES if type_of(other) == type_of(name))


def archived(name: str) -> tuple[bytes, Event[Payload]]:
    """The line of a sample and the event in it."""
    line = SAMPLES[name].read_bytes().rstrip(b"\n")
    event = read_event(line, BY_NAME[type_of(name)])
    assert event is not None
    return line, event


def test_every_type_has_a_sample() -> None:
    assert {type_of(name) for name in SAMPLES} == {topic.name for topic in TOPICS}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_archived_sample_decodes_and_the_newest_of_each_type_encodes_to_the_same_bytes(name: str) -> None:
    line, event = archived(name)

    if is_newest(name):
        assert event.data.encode() == event.value
    assert to_line(event) == line


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_archived_auction_settles_to_its_archived_reply_and_bills(generation: str) -> None:
    """Charges to the micro and the same reply; probabilities up to how a processor rounds exp."""
    _, scored = archived(SCORED.name + generation)
    then, bill_then = archived(SETTLED.name + generation)[1].data, archived(CHARGED.name + generation)[1].data

    reply, bill, _ = settle(scored, DEMO_DRAW_KEY.get_secret_value().encode())  # type: ignore[arg-type]

    for name in ("reply", "chosen_index", "draw", "charge_ids", "total_charge_micros", "abstentions", "disclosure"):
        assert getattr(reply.data, name) == getattr(then, name), name
    assert reply.data.weights == pytest.approx(then.weights, rel=1e-12)  # type: ignore[attr-defined]
    for name in ("charge_id", "charge_micros", "bound_micros", "scored_sha256"):
        assert getattr(bill.data, name) == getattr(bill_then, name), name
