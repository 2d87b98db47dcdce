"""Seeds of the candidates: whether they derive from the key of their day, and whether that was committed to before.

Seeds whose key is not known yet wait on disk, as SHA-256 digests of all seeds of an auction.
"""

import hmac
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b, sha256
from tempfile import SpooledTemporaryFile

from schemas.auction import CandidatesScored
from schemas.draw import DrawCommitment, Seeds
from workers.audit.draws import commitment_to, message
from workers.audit.findings import Check, Finding, Kind, Tally

SPOOL_BYTES = 8 * 1024 * 1024
CLOCKS_MAY_DIFFER = timedelta(hours=1)
MOST_KEYS = 2  # of one day: a secret that was replaced; with more, seeds could be chosen among


def seed_secret(draw_secret: bytes) -> bytes:
    """The secret of seeds that derives from the draw's."""
    return hmac.digest(draw_secret, message("sampling-secret-v1"), sha256)


def seed_key(secret: bytes, epoch: str) -> bytes:
    """The key of a day's seeds."""
    return hmac.digest(secret, message("sampling-epoch-v1", epoch), sha256)


def seeds_digest(seeds: Iterable[str]) -> str:
    """SHA-256 of the seeds, hexadecimal, with commas between them."""
    return sha256(",".join(seeds).encode()).hexdigest()


def derived_seeds(key: bytes, auction_id: str, candidates: int) -> list[str]:
    """[candidates + 1] the seeds of the candidates and of the fallback: keyed BLAKE2b without its last bit."""
    named = [("candidate", index) for index in range(candidates)] + [("fallback", 0)]
    parts = [message("seed-v1", auction_id, purpose, str(index)) for purpose, index in named]
    numbers = [int.from_bytes(blake2b(part, key=key, digest_size=8).digest(), "big") >> 1 for part in parts]
    return [f"{number:016x}" for number in numbers]


@dataclass
class UsedSeeds:
    """Auctions of one day with seeds from one key."""

    auctions: int
    first_at: int
    first_query: str
    first_auction: str


@dataclass
class SeedKeys:
    """Told of commitments and scored events in any order; `finish` settles what had to wait.

    `secrets`: of seeds, if known.
    """

    tally: Tally
    secrets: Sequence[bytes]
    _committed: dict[str, dict[str, int]] = field(default_factory=dict)  # day -> SHA-256 of a key -> where
    _known: dict[str, bytes] = field(default_factory=dict)  # by SHA-256
    _used: dict[tuple[str, str], UsedSeeds] = field(default_factory=dict)  # by day and SHA-256
    _waiting: SpooledTemporaryFile[bytes] = field(default_factory=lambda: SpooledTemporaryFile(SPOOL_BYTES))

    def committed(self, said: DrawCommitment, at: int) -> None:
        """A line of the commitment topic."""
        if said.sampling_key_sha256 is None:
            return
        of_day = self._committed.setdefault(said.epoch, {})
        of_day[said.sampling_key_sha256] = min(at, of_day.get(said.sampling_key_sha256, at))
        if said.sampling_key is not None:
            self._known[said.sampling_key_sha256] = bytes.fromhex(said.sampling_key)

    def used(self, scored: CandidatesScored, at: int, recorded_at: datetime | None) -> None:
        """The seeds of an auction; the first releases say none."""
        if (seeds := scored.seeds) is None:
            return
        used = self._used.setdefault(
            (seeds.epoch, seeds.key_sha256), UsedSeeds(0, at, scored.query_id, scored.auction_id)
        )
        used.auctions, used.first_at = used.auctions + 1, min(used.first_at, at)
        self._check_day(scored, seeds, recorded_at)
        logged = scored.query_id, scored.auction_id, len(seeds.candidates)
        digest = seeds_digest((*seeds.candidates, seeds.fallback))
        if (key := self._key(seeds)) is not None:
            self._check(key, *logged, digest)
        else:
            self._waiting.write(json.dumps((seeds.key_sha256, *logged, digest)).encode() + b"\n")

    def finish(self) -> None:
        """Check the seeds whose key came later, and every day's commitment."""
        for key_sha256, query_id, auction_id, candidates, digest in self._lines():
            if (key := self._known.get(key_sha256)) is not None:
                self._check(key, query_id, auction_id, candidates, digest)
            else:
                self.tally.unverifiable[Check.SEEDS] += 1
        self.close()
        for (epoch, key_sha256), used in self._used.items():
            self._check_commitment(epoch, key_sha256, used)

    def close(self) -> None:
        self._waiting.close()

    def _lines(self) -> Iterator[tuple[str, str, str, int, str]]:
        self._waiting.seek(0)
        return (json.loads(line) for line in self._waiting)

    def _key(self, seeds: Seeds) -> bytes | None:
        if seeds.key_sha256 not in self._known:
            for key in (seed_key(secret, seeds.epoch) for secret in self.secrets):
                self._known.setdefault(commitment_to(key), key)
        return self._known.get(seeds.key_sha256)

    def _check(self, key: bytes, query_id: str, auction_id: str, candidates: int, digest: str) -> None:
        self.tally.checked[Check.SEEDS] += 1
        right = seeds_digest(derived_seeds(key, auction_id, candidates))
        if digest != right:
            what = f"SHA-256 of the seeds of {candidates} candidates and of the fallback"
            self.tally.find(Finding(Kind.WRONG_SEEDS, query_id, auction_id, what, digest, right))

    def _check_day(self, scored: CandidatesScored, seeds: Seeds, recorded_at: datetime | None) -> None:
        """It is one between the query and its scored event: each day has another key, and so other candidates."""
        first = _day(scored.received_at - CLOCKS_MAY_DIFFER) if scored.received_at else ""
        last = _day(recorded_at + CLOCKS_MAY_DIFFER) if recorded_at else "9999-12-31"
        if not first <= seeds.epoch <= last:
            ids, right = (scored.query_id, scored.auction_id), f"a day from {first} to {last}"
            self.tally.find(Finding(Kind.WRONG_SEED_DAY, *ids, "day of the seeds", seeds.epoch, right))

    def _check_commitment(self, epoch: str, key_sha256: str, used: UsedSeeds) -> None:
        of_day = self._committed.get(epoch, {})
        before = sorted(one for one, at in of_day.items() if at <= used.first_at)
        if not before:
            self.tally.unverifiable[Check.SEED_COMMITMENTS] += used.auctions
            return
        self.tally.checked[Check.SEED_COMMITMENTS] += used.auctions
        if key_sha256 not in before:
            self._broken(Kind.BROKEN_SEED_COMMITMENT, epoch, used, key_sha256, " or ".join(before[:MOST_KEYS]))
        elif len(before) > MOST_KEYS:
            self._broken(Kind.MANY_SEED_KEYS, epoch, used, f"{len(before)} keys committed to", f"at most {MOST_KEYS}")

    def _broken(self, kind: Kind, epoch: str, used: UsedSeeds, logged: str, right: str) -> None:
        what = f"the key of the seeds of {epoch}, {used.auctions} auctions from here on"
        self.tally.find(Finding(kind, used.first_query, used.first_auction, what, logged, right))


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
