"""The seeds that replies are drawn with: from the key of the day, committed to before it and revealed after it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.draw import Seeds
from workers.engines.base import derive_seeds
from workers.mechanism.epochs import EpochKey, epoch_of, sampling_epoch_key


class SamplingKeys(Protocol):
    """Where generation has the key of its seeds from."""

    async def sampling_key(self) -> EpochKey:
        """Today's key. Refused, KEY_REVEALED: whoever reads the commitments could foretell the seeds."""
        ...


@dataclass(frozen=True)
class UncommittedKeys:
    """Keys from a secret alone, of a process that cannot commit to them: `tessera keys commit` does, days ahead."""

    secret: bytes
    now: Callable[[], datetime]

    async def sampling_key(self) -> EpochKey:
        return sampling_epoch_key(self.secret, epoch_of(self.now()))

    def __repr__(self) -> str:
        return "UncommittedKeys()"  # a secret is not for logs


def make_seeds(key: EpochKey, auction_id: str, candidates: int) -> Seeds:
    """Seeds of so many candidates of an auction and of its fallback, as its events hold them."""
    return Seeds(
        algorithm="seed-v1",
        epoch=str(key.epoch),
        key_sha256=key.sha256,
        candidates=tuple(map(_written, derive_seeds(key.key, auction_id, "candidate", candidates))),
        fallback=_written(*derive_seeds(key.key, auction_id, "fallback", 1)),
    )


def numbers(seeds: tuple[str, ...]) -> list[int]:
    """The seeds as engines take them: [M] 63-bit integers."""
    return [int(seed, 16) for seed in seeds]


def _written(seed: int) -> str:
    return f"{seed:016x}"
