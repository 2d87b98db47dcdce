"""The keys of draws and of seeds: an epoch's key is handed out only once its commitment is published."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from typing import Final

from schemas.draw import DrawCommitment
from schemas.envelope import Event
from schemas.identity import derive
from schemas.reasons import DeadLetterReason
from workers.errors import Refused, SettingsError
from workers.mechanism.epochs import (
    EpochKey,
    committed_key,
    epoch_key,
    epoch_of,
    has_begun,
    next_epoch,
    sampling_epoch_key,
)

SOURCE = "urn:tessera:keys"
REST: Final = timedelta(hours=1)  # after midnight, before a day's key is shown: its last auctions are drawn by then
MOST_OF_A_DAY: Final = 16  # keys of seeds that are remembered of one day
LOOK_AGAIN: Final = timedelta(seconds=1)  # so long a day that is over counts as not revealed after a look
NEVER: Final = datetime.min.replace(tzinfo=UTC)

Publish = Callable[[Event[DrawCommitment]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Committed:
    """What the commitment topic says of one epoch. `key` is hexadecimal, once it is revealed.

    `sampling_keys`: the keys of seeds, by their SHA-256; None where it is not revealed. A secret that is replaced on a
    day gives that day a second one.
    """

    epoch: str
    key_sha256: str
    committed_at: datetime
    key: str | None = None
    revealed_at: datetime | None = None
    sampling_keys: Mapping[str, str | None] = field(default_factory=dict)


def commitments(events: Iterable[Event[DrawCommitment]]) -> dict[str, Committed]:
    """Epochs in order of their first commitment, which is the one that binds; a reveal counts if it fits it."""
    found: dict[str, Committed] = {}
    for event in events:
        found[event.data.epoch] = bind(found.get(event.data.epoch), event)
    return found


def bind(first: Committed | None, event: Event[DrawCommitment]) -> Committed:
    """What an epoch is committed to after one more event: the first binds, and a reveal of its key adds the key."""
    said, at = event.data, event.recorded_at or event.time
    bound = first or Committed(said.epoch, said.key_sha256, at)
    if said.key is not None and said.key_sha256 == bound.key_sha256 and bound.key is None:
        bound = replace(bound, key=said.key, revealed_at=at)
    return _bind_seeds(bound, said)


def revealable_at(epoch: str) -> datetime:
    """From when on the key of a day may be shown: REST after the day's end. ValueError: `epoch` is no day."""
    return datetime.combine(date.fromisoformat(next_epoch(epoch)), clock_time(), UTC) + REST


def oldest_unrevealed(known: Iterable[Committed]) -> datetime | None:
    """From when on the first key could have been shown that is not; it may lie ahead. None: all are shown."""
    return min((revealable_at(one.epoch) for one in known if one.key is None), default=None)


def _bind_seeds(bound: Committed, said: DrawCommitment) -> Committed:
    """A key of seeds counts where the event is of the day's key of draws: it takes both secrets to say so."""
    named, known = said.sampling_key_sha256, bound.sampling_keys
    if named is None or said.key_sha256 != bound.key_sha256 or (named not in known and len(known) >= MOST_OF_A_DAY):
        return bound
    return replace(bound, sampling_keys={**known, named: known.get(named) or said.sampling_key})


def commitment(
    key: EpochKey, at: datetime, *, reveal: bool = False, seeds: EpochKey | None = None
) -> Event[DrawCommitment]:
    """The event that commits to a key and to one of `seeds`, or reveals them; the same twice has the same id."""
    said = DrawCommitment(
        epoch=str(key.epoch),
        key_sha256=key.sha256,
        key=key.key.hex() if reveal else None,
        sampling_key_sha256=seeds.sha256 if seeds else None,
        sampling_key=seeds.key.hex() if seeds and reveal else None,
    )
    both = (seeds.sha256,) if seeds else ()
    return Event(
        data=said,
        value=said.encode(),
        id=derive("event", said.event_type, said.epoch, said.key_sha256, "reveal" if reveal else "commit", *both),
        source=SOURCE,
        subject=said.epoch,
        time=at,
        correlation_id=said.epoch,
    )


@dataclass
class KeyRing:
    """Keys under one secret, or two while it is rotated.

    `read` gives what the commitment topic holds. What binds is its first record of a day: a ring reads it again after
    its own commitment, so that of two rings with different secrets one finds out before it draws.

    A revealed key draws nothing any more, whoever revealed it: once a day is over, and may be revealed, the topic is
    looked at again, at most once in LOOK_AGAIN. To settle again what is settled needs no key: settlement's memory
    answers before one is asked for.
    """

    secrets: Sequence[bytes]  # the current one first, then the previous one
    publish: Publish
    read: Callable[[], Awaitable[Mapping[str, Committed]]]
    now: Callable[[], datetime]
    sampling_secret: bytes | None = None  # None: this process does not know with which secret seeds are made
    _committed: Mapping[str, Committed] = field(default_factory=dict)
    _looked: datetime = NEVER
    _keys: dict[str, EpochKey] = field(default_factory=dict)
    _sampling_keys: dict[str, EpochKey] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def key(self, epoch: str | None, at: datetime | None = None) -> EpochKey:
        """The epoch's key, committed to, and the next one too; `at` is when the broker took what is to be drawn.

        Refused: no day to draw on, or its key is revealed. SettingsError: the day is committed to another secret's key.
        """
        if epoch is None or not has_begun(epoch, at or self.now()):
            raise Refused(
                DeadLetterReason.BAD_EPOCH,
                f"the day of the draw, {epoch}, is none that had begun when the broker took the scored event: a clock "
                "is wrong (`tessera doctor --kafka`). When the day has begun, `tessera dlq redrive` settles it",
            )
        if epoch not in self._keys:
            async with self._lock:
                self._keys[epoch] = await self._key(epoch)
        elif epoch < epoch_of(self.now()):
            async with self._lock:
                await self._look_again()
            self._refuse_revealed(epoch)
        return self._keys[epoch]

    async def sampling_key(self) -> EpochKey:
        """Today's key of the seeds, committed to. Refused: it is revealed. SettingsError as for `key`."""
        epoch = epoch_of(self.now())
        if epoch not in self._sampling_keys:
            async with self._lock:
                await self.commit(epoch)
                self._sampling_keys[epoch] = self._own_seeds(epoch)
        return self._sampling_keys[epoch]

    async def commit(self, epoch: str) -> EpochKey:
        """Commit to the keys of a day, today's or a later one, unless that is done. SettingsError as for `key`."""
        await self._look()
        seeds = self._seeds_key(epoch)
        if epoch not in self._committed:
            await self.publish(commitment(epoch_key(self.secrets[0], epoch), self.now(), seeds=seeds))
            await self._look()
        key = self._bound_key(self._committed[epoch])
        if seeds is not None and seeds.sha256 not in self._committed[epoch].sampling_keys:
            await self.publish(commitment(key, self.now(), seeds=seeds))
            await self._look()
        return key

    def _seeds_key(self, epoch: str) -> EpochKey | None:
        return None if self.sampling_secret is None else sampling_epoch_key(self.sampling_secret, epoch)

    def _own_seeds(self, epoch: str) -> EpochKey:
        if (key := self._seeds_key(epoch)) is None:
            raise SettingsError("TESSERA_SAMPLING_KEY is not set, and nothing that it derives from")
        if self._committed[epoch].sampling_keys.get(key.sha256) is not None:
            raise Refused(DeadLetterReason.KEY_REVEALED, f"the key of the seeds of {epoch} is revealed")
        return key

    async def _key(self, epoch: str) -> EpochKey:
        key = await self.commit(epoch)
        self._refuse_revealed(epoch)
        await self.commit(next_epoch(epoch))
        return key

    async def _look(self) -> None:
        self._looked, self._committed = self.now(), await self.read()

    async def _look_again(self) -> None:
        if abs(self.now() - self._looked) >= LOOK_AGAIN:  # a clock may be set back
            await self._look()

    def _refuse_revealed(self, epoch: str) -> None:
        known = self._committed.get(epoch)  # None: Kafka keeps it no more
        if known is not None and known.key is not None:
            raise Refused(DeadLetterReason.KEY_REVEALED, f"the key of {epoch} is revealed: a draw could be foretold")

    def _bound_key(self, bound: Committed) -> EpochKey:
        if (key := committed_key(self.secrets, bound.epoch, bound.key_sha256)) is not None:
            return key
        raise SettingsError(
            f"the draws of {bound.epoch} are committed to another key than TESSERA_DRAW_KEY gives. While a secret is "
            "replaced, TESSERA_DRAW_KEY_PREVIOUS names the old one; the new one counts from the first day that is not "
            "committed to"
        )
