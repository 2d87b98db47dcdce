"""Epoch keys and their commitments: told before use, kept when the secret is replaced, never another's."""

import hmac
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from schemas.draw import DrawCommitment
from schemas.envelope import Event, from_record
from schemas.payload import BadRecord
from schemas.reasons import DeadLetterReason
from schemas.topics import COMMITMENTS, SETTLED_QUERIES
from tests.support.builders import make_record, make_scored
from workers.draw_keys import LOOK_AGAIN, Committed, KeyRing, commitment, commitments
from workers.errors import Refused, SettingsError
from workers.mechanism.epochs import epoch_key, epoch_of, next_epoch, sampling_epoch_key
from workers.settlement import Settlement
from workers.stream.deduplication.deduplicator import Once, Repeated

OLD, NEW = b"the old secret of thirty-two characters", b"the new secret of thirty-two characters"
AT = datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC)
TODAY, TOMORROW = "2026-11-24", "2026-11-25"


class Topic:
    """A commitment topic that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Event[DrawCommitment]] = []

    async def publish(self, event: Event[DrawCommitment]) -> None:
        self.events.append(event)

    async def read(self) -> dict[str, Committed]:
        return commitments(self.events)

    def ring(self, *secrets: bytes, at: datetime = AT) -> KeyRing:
        return KeyRing(secrets, self.publish, self.read, lambda: at)


def test_an_epoch_key_is_the_documented_hmac() -> None:
    message = b"13:draw-epoch-v1,10:2026-11-24,"

    key = epoch_key(OLD, TODAY)

    assert key.key == hmac.new(OLD, message, "sha256").digest()
    assert key.sha256 == sha256(key.key).hexdigest()
    assert OLD.hex() not in repr(key) and key.key.hex() not in repr(key)


def test_each_utc_day_has_its_own_key() -> None:
    assert epoch_key(OLD, TODAY).key != epoch_key(OLD, TOMORROW).key
    assert epoch_of(datetime.fromisoformat("2026-11-25T00:30:00+02:00")) == TODAY
    assert next_epoch("2028-02-28") == "2028-02-29" and next_epoch("2026-12-31") == "2027-01-01"


async def test_a_key_is_handed_out_when_its_commitment_and_the_next_ones_are_published() -> None:
    topic = Topic()

    key = await topic.ring(OLD).key(TODAY)

    assert [(event.data.epoch, event.data.key_sha256, event.data.key) for event in topic.events] == [
        (TODAY, key.sha256, None),
        (TOMORROW, epoch_key(OLD, TOMORROW).sha256, None),
    ]
    assert key == epoch_key(OLD, TODAY)


async def test_a_commitment_that_cannot_be_published_gives_no_key() -> None:
    async def fail(event: Event[DrawCommitment]) -> None:
        raise OSError("no broker")

    ring = KeyRing([OLD], fail, Topic().read, lambda: AT)

    for _ in range(2):  # nor does it the second time
        with pytest.raises(OSError, match="no broker"):
            await ring.key(TODAY)


async def test_a_key_is_committed_to_once() -> None:
    topic = Topic()
    await topic.ring(OLD).key(TODAY)

    ring = topic.ring(OLD, at=AT + timedelta(days=1))
    await ring.key(TODAY)
    await ring.key(TOMORROW)

    assert [event.data.epoch for event in topic.events] == [TODAY, TOMORROW, "2026-11-26"]


async def test_a_new_secret_counts_from_the_first_day_that_is_not_committed_to() -> None:
    topic = Topic()
    await topic.ring(OLD).key(TODAY)

    ring = topic.ring(NEW, OLD, at=AT + timedelta(days=2))

    assert await ring.key(TODAY) == epoch_key(OLD, TODAY)
    assert await ring.key(TOMORROW) == epoch_key(OLD, TOMORROW)
    assert await ring.key("2026-11-26") == epoch_key(NEW, "2026-11-26")


async def test_another_secret_alone_is_refused() -> None:
    topic = Topic()
    await topic.ring(OLD).key(TODAY)

    with pytest.raises(SettingsError, match=r"2026-11-24 are committed to another key.*TESSERA_DRAW_KEY_PREVIOUS"):
        await topic.ring(NEW).key(TODAY)


@pytest.mark.parametrize("epoch", [None, "2026-11-26", "9999-12-30"])
async def test_only_a_day_that_has_begun_is_drawn_on(epoch: str | None) -> None:
    topic = Topic()

    with pytest.raises(Refused) as caught:
        await topic.ring(OLD).key(epoch)

    assert caught.value.reason is DeadLetterReason.BAD_EPOCH
    assert topic.events == []  # and nothing is committed to


async def test_the_brokers_clock_says_which_day_has_begun_and_settlements_does_not() -> None:
    """Scoring at two minutes past midnight, settlement's clock at a quarter to: the record is nobody's fault."""
    behind, midnight = AT - timedelta(minutes=15), AT + timedelta(seconds=1)
    topic = Topic()
    ring = KeyRing((OLD,), topic.publish, topic.read, lambda: behind - timedelta(days=3))

    assert await ring.key(TOMORROW, midnight + timedelta(minutes=2)) == epoch_key(OLD, TOMORROW)
    assert await ring.key(TOMORROW, behind) == epoch_key(OLD, TOMORROW)  # or scoring's is ahead of the broker's
    with pytest.raises(Refused, match="redrive"):
        await ring.key(TOMORROW, midnight - timedelta(hours=2))


async def test_the_scoring_workers_clock_may_be_a_little_ahead() -> None:
    assert await Topic().ring(OLD).key(TOMORROW) == epoch_key(OLD, TOMORROW)  # AT is a second before midnight


async def test_a_day_whose_key_is_revealed_is_not_drawn_on() -> None:
    topic = Topic()
    key = await topic.ring(OLD).key(TODAY)
    await topic.publish(commitment(key, AT, reveal=True))

    with pytest.raises(Refused, match="is revealed"):
        await topic.ring(OLD).key(TODAY)


async def test_a_ring_that_has_drawn_notices_that_another_process_revealed_the_key() -> None:
    topic, clock = Topic(), [AT]
    ring = KeyRing((OLD,), topic.publish, topic.read, lambda: clock[0])
    key = await ring.key(TODAY)

    clock[0] = AT + timedelta(hours=1)  # the day is over: what waited is drawn, until the key is shown
    assert await ring.key(TODAY) == key
    await topic.publish(commitment(key, clock[0], reveal=True))
    clock[0] += LOOK_AGAIN

    for _ in range(2):
        with pytest.raises(Refused) as caught:
            await ring.key(TODAY)
        assert caught.value.reason is DeadLetterReason.KEY_REVEALED
    assert (await ring.key(TOMORROW)).epoch == TOMORROW


async def test_keys_of_a_day_that_is_over_are_looked_up_at_most_once_a_second() -> None:
    topic, reads = Topic(), 0

    async def read() -> dict[str, Committed]:
        nonlocal reads
        reads += 1
        return await topic.read()

    ring = KeyRing((OLD,), topic.publish, read, lambda: AT + timedelta(days=1))
    await ring.key(TODAY)
    before = reads

    for _ in range(100):
        await ring.key(TODAY)

    assert reads == before


async def test_a_settled_event_of_a_revealed_day_comes_again_without_a_draw() -> None:
    """No dead letter, and its outcome stands; one that was never settled is refused."""
    topic, clock = Topic(), [AT]
    ring = KeyRing((OLD,), topic.publish, topic.read, lambda: clock[0])
    once, handle = Once(SETTLED_QUERIES), Settlement(ring).handle
    settled, new = (make_scored(number, draw_epoch=TODAY) for number in (1, 2))
    assert await once.work(settled, handle)

    clock[0] += timedelta(days=1)
    await topic.publish(commitment(await ring.key(TODAY), clock[0], reveal=True))
    clock[0] += LOOK_AGAIN

    with pytest.raises(Repeated):
        await once.work(settled, handle)
    with pytest.raises(Refused, match="is revealed"):
        await once.work(new, handle)


async def test_a_losing_concurrent_commitment_is_noticed_before_a_draw() -> None:
    topic = Topic()

    async def late(event: Event[DrawCommitment]) -> None:
        if not topic.events:
            await topic.publish(commitment(epoch_key(OLD, TODAY), AT))
        await topic.publish(event)

    with pytest.raises(SettingsError, match="committed to another key"):
        await KeyRing((NEW,), late, topic.read, lambda: AT).key(TODAY)


def test_the_first_commitment_binds_and_only_its_own_reveal_counts() -> None:
    mine, other = epoch_key(OLD, TODAY), epoch_key(NEW, TODAY)
    events = [
        commitment(mine, AT),
        commitment(other, AT),
        commitment(other, AT, reveal=True),
        commitment(mine, AT, reveal=True),
    ]

    (found,) = commitments(events).values()

    assert (found.key_sha256, found.key) == (mine.sha256, mine.key.hex())


def test_a_reveal_must_be_the_key_that_was_committed_to() -> None:
    key = epoch_key(OLD, TODAY)
    fields = commitment(key, AT, reveal=True).data.model_dump() | {"key": epoch_key(NEW, TODAY).key.hex()}

    with pytest.raises(ValueError, match="SHA-256 is not key_sha256"):
        DrawCommitment(**fields)


def test_a_commitment_has_the_envelope_of_every_event() -> None:
    event = commitment(epoch_key(OLD, TODAY), AT)

    read = from_record(make_record(event), COMMITMENTS)

    assert (read.data, read.id, read.subject, read.time) == (event.data, event.id, TODAY, AT)
    with pytest.raises(BadRecord):
        from_record(make_record(event.value, COMMITMENTS, key=b"2026-11-25"), COMMITMENTS)


async def test_a_ring_that_knows_the_secret_of_the_seeds_commits_to_their_keys_too() -> None:
    topic = Topic()
    ring = KeyRing((OLD,), topic.publish, topic.read, lambda: AT, NEW)

    await ring.key(TODAY)
    key = await ring.sampling_key()

    assert key == sampling_epoch_key(NEW, TODAY)
    assert [(event.data.epoch, event.data.sampling_key_sha256) for event in topic.events] == [
        (TODAY, key.sha256),
        (TOMORROW, sampling_epoch_key(NEW, TOMORROW).sha256),
    ]


async def test_a_day_that_only_its_draws_are_committed_to_gets_the_key_of_its_seeds_before_any_is_made() -> None:
    topic = Topic()
    await topic.ring(OLD).key(TODAY)

    ring = KeyRing((OLD,), topic.publish, topic.read, lambda: AT, NEW)
    key = await ring.sampling_key()
    await ring.sampling_key()

    committed = (await topic.read())[TODAY]
    assert (committed.key_sha256, committed.sampling_keys) == (epoch_key(OLD, TODAY).sha256, {key.sha256: None})
    assert len({event.id for event in topic.events}) == len(topic.events) == 3


async def test_who_draws_seeds_has_their_key_committed_to_after_a_day_without_any_auction() -> None:
    """Generation comes first on a new day, long before settlement draws."""
    topic, clock = Topic(), [AT]
    ring = KeyRing((OLD,), topic.publish, topic.read, lambda: clock[0], NEW)
    await ring.key(TODAY)
    clock[0] = AT + timedelta(days=5)

    key = await ring.sampling_key()

    assert (await topic.read())[str(key.epoch)].sampling_keys == {key.sha256: None}


async def test_a_revealed_key_of_seeds_makes_none_anew() -> None:
    topic = Topic()
    seeds = sampling_epoch_key(NEW, TODAY)
    await topic.publish(commitment(epoch_key(OLD, TODAY), AT, reveal=True, seeds=seeds))

    with pytest.raises(Refused) as caught:
        await KeyRing((OLD,), topic.publish, topic.read, lambda: AT, NEW).sampling_key()

    assert caught.value.reason is DeadLetterReason.KEY_REVEALED


def test_a_key_of_seeds_counts_only_beside_the_days_key_of_draws_and_is_revealed_once() -> None:
    draw, other, seeds = epoch_key(OLD, TODAY), epoch_key(NEW, TODAY), sampling_epoch_key(NEW, TODAY)
    strangers = sampling_epoch_key(OLD, TODAY)

    found = commitments(
        [
            commitment(draw, AT, seeds=seeds),
            commitment(other, AT, seeds=strangers),
            commitment(draw, AT, reveal=True, seeds=seeds),
            commitment(draw, AT, seeds=seeds),
        ]
    )

    assert found[TODAY].sampling_keys == {seeds.sha256: seeds.key.hex()}
