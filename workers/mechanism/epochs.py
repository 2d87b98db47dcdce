"""Keys of draws and seeds, one an epoch, derived from a secret: a day's key can be revealed and gives no other away."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Final

from schemas.identity import netstrings

CLOCKS_MAY_DIFFER: Final = timedelta(hours=1)  # scoring's and the broker's
DERIVATION: Final = "draw-epoch-v1"
OF_SEEDS: Final = "sampling-epoch-v1"


@dataclass(frozen=True, slots=True)
class EpochKey:
    """The key of one epoch, and the hash that commits to it. `epoch` None: the secret itself, from before epochs."""

    epoch: str | None
    key: bytes
    sha256: str

    def __repr__(self) -> str:
        return f"EpochKey({self.epoch}, {self.sha256[:12]}…)"  # a key is not for logs


def epoch_key(secret: bytes, epoch: str | None) -> EpochKey:
    """HMAC-SHA256(secret, "draw-epoch-v1", epoch), both as netstrings; without an epoch the secret as it is."""
    key = secret if epoch is None else hmac.new(secret, netstrings(DERIVATION, epoch), sha256).digest()
    return EpochKey(epoch, key, sha256(key).hexdigest())


def sampling_epoch_key(secret: bytes, epoch: str) -> EpochKey:
    """The key of an epoch's seeds: HMAC-SHA256(secret, "sampling-epoch-v1", epoch), both as netstrings."""
    key = hmac.digest(secret, netstrings(OF_SEEDS, epoch), sha256)
    return EpochKey(epoch, key, sha256(key).hexdigest())


def sampling_secret_of(draw_secret: bytes) -> bytes:
    """The secret of the seeds where it is not set: HMAC-SHA256(draw secret, "sampling-secret-v1")."""
    return hmac.digest(draw_secret, netstrings("sampling-secret-v1"), sha256)


def committed_key(secrets: Sequence[bytes], epoch: str, key_sha256: str) -> EpochKey | None:
    """The key whose SHA-256 (hexadecimal) a commitment to `epoch` names, if it derives from one of the secrets."""
    keys = (epoch_key(secret, epoch) for secret in secrets)
    return next((key for key in keys if key.sha256 == key_sha256), None)


def epoch_of(moment: datetime) -> str:
    """The epoch of a moment: its day in UTC, `YYYY-MM-DD`. `moment` has a time zone."""
    return moment.astimezone(UTC).date().isoformat()


def has_begun(epoch: str, at: datetime) -> bool:
    """Whether a day has begun by a clock that may be behind the one that named the day.

    Drawing early gives nothing away: a day's key is committed to before it is used, and shown after the day.
    """
    return epoch <= epoch_of(at + CLOCKS_MAY_DIFFER)


def next_epoch(epoch: str) -> str:
    """The day after `epoch`, both as `YYYY-MM-DD`. ValueError: `epoch` is no day."""
    return (date.fromisoformat(epoch) + timedelta(days=1)).isoformat()
