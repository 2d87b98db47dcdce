"""What is known of one query while its outcome is not complete, or may still be replaced."""

from dataclasses import dataclass, field
from hashlib import blake2b, sha256

from schemas.letter import Place
from schemas.record import Record
from workers.audit.log.lineage import Lineage

DIGEST_BYTES = 16


def content_digest(key: bytes | None, value: bytes | None) -> bytes:
    """Tells whether two records have the same key and value; an absent value survives its dead letter."""
    return digest_of(None if key is None else sha256(key).digest(), sha256(value or b"").digest())


def digest_of(key_sha256: bytes | None, value_sha256: bytes) -> bytes:
    """The `content_digest` of a key and a value that only their SHA-256 are known of."""
    return blake2b((key_sha256 or b"no key") + value_sha256, digest_size=DIGEST_BYTES).digest()


@dataclass(slots=True)
class Source:
    """A record that a stage reads, and what its dead letter must hold."""

    place: Place
    digest: bytes


@dataclass(slots=True)
class SettledReply:
    """What is kept of a reply."""

    place: Place
    charge_ids: frozenset[str]
    total_micros: int
    currency: str


@dataclass(slots=True)
class TrackedQuery:
    """One query: what its records were so far. Topics are named by what they carry."""

    auction_id: str
    newest_ms: int = 0
    query: Source | None = None
    generated: Source | None = None
    scored: Source | None = None
    settled: SettledReply | None = None
    letter: Place | None = None
    reason: str = ""  # of the dead letter
    value_sha256: bytes = b""  # of the query, where a plan is compared
    foreign: bool = False  # no event of an auction: somebody else's record on a stage's topic
    charges: dict[str, tuple[int, str]] = field(default_factory=dict)  # id -> micros, currency
    lineage: Lineage = field(default_factory=Lineage)

    @property
    def sources(self) -> tuple[Source, ...]:
        """What stages read, the furthest first."""
        return tuple(one for one in (self.scored, self.generated, self.query) if one is not None)

    @property
    def missing_charges(self) -> frozenset[str]:
        return self.settled.charge_ids - self.charges.keys() if self.settled else frozenset()

    @property
    def is_complete(self) -> bool:
        """Whether nothing more can come of it in a log where everything holds."""
        if self.letter is not None:
            return self.generated is None and self.scored is None  # later dead letters may be redriven
        return self.settled is not None and not self.missing_charges and self.scored is not None

    def touch(self, record: Record) -> None:
        self.newest_ms = max(self.newest_ms, record.timestamp_ms)

    def __str__(self) -> str:
        return f"query {self.query.place}" if self.query else f"auction {self.auction_id}"
