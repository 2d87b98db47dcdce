"""One event of each type and version as it was once published: readers keep reading them.

The samples are lines of one auction of the null engine under the public key of `tessera demo`. They are never written
again. A version that gains an optional field gets a second sample; the first then only has to decode.
"""

from pathlib import Path

import pytest

from schemas.envelope import Event
from schemas.lines import read_event, to_line
from schemas.payload import Payload
from schemas.topics import BY_NAME, CHARGED, SCORED, SETTLED, TOPICS
from workers.settings import DEMO_DRAW_KEY
from workers.settlement import Settlement

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.jsonl"))


def archived(event_type: str) -> tuple[bytes, Event[Payload]]:
    """The line and the event in it."""
    line = (Path(__file__).parent / "samples" / f"{event_type}.jsonl").read_bytes().rstrip(b"\n")
    event = read_event(line, BY_NAME[event_type])
    assert event is not None
    return line, event


def test_every_type_has_a_sample() -> None:
    assert [path.stem for path in SAMPLES] == sorted(topic.name for topic in TOPICS)


@pytest.mark.parametrize("event_type", [path.stem for path in SAMPLES])
def test_a_sample_decodes_and_gives_the_same_bytes_again(event_type: str) -> None:
    line, event = archived(event_type)

    assert event.data.encode() == event.value
    assert to_line(event) == line


def test_the_archived_auction_settles_as_it_did() -> None:
    """Charges to the micro and the same reply; probabilities up to how a processor rounds exp."""
    _, scored = archived(SCORED.name)
    then, bill_then = archived(SETTLED.name)[1].data, archived(CHARGED.name)[1].data

    reply, bill, _ = Settlement(DEMO_DRAW_KEY.get_secret_value().encode()).settle(scored)  # type: ignore[arg-type]

    for name in ("reply", "chosen_index", "draw", "charge_ids", "total_charge_micros", "abstentions", "disclosure"):
        assert getattr(reply.data, name) == getattr(then, name), name
    assert reply.data.weights == pytest.approx(then.weights, rel=1e-12)  # type: ignore[attr-defined]
    for name in ("charge_id", "charge_micros", "bound_micros", "scored_sha256"):
        assert getattr(bill.data, name) == getattr(bill_then, name), name
