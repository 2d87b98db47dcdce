"""The keys of the draws: what was committed to, revealed and used, epoch by epoch; draws wait on disk for their key."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile

from schemas.draw import DrawCommitment
from schemas.reply import Draw
from workers.audit.auction import LoggedAuction
from workers.audit.draws import commitment_to, derived_key, drawn_from, u_of
from workers.audit.findings import Check, Finding, Kind, Tally

SPOOL_BYTES = 8 * 1024 * 1024  # so much of the waiting draws stays in memory


@dataclass
class Commitment:
    """The first commitment of an epoch. `at`: its place in the log."""

    key_sha256: str
    at: int
    revealed_at: int | None = None


@dataclass
class Used:
    """Draws of one epoch under one key."""

    draws: int
    first_at: int
    last_at: int
    first_query: str
    first_auction: str


@dataclass
class Keys:
    """Told of commitments and draws in any order; `finish` settles what had to wait.

    `secrets`: from which keys may have been derived; such a key counts only where its SHA-256 is the one logged.
    `topic_read`: the commitment topic is part of the input even if no commitment is in it.
    """

    tally: Tally
    secrets: Sequence[bytes]
    topic_read: bool
    _committed: dict[str, Commitment] = field(default_factory=dict)
    _known: dict[str, bytes] = field(default_factory=dict)  # by SHA-256
    _used: dict[str | None, dict[str, Used]] = field(default_factory=dict)
    _waiting: SpooledTemporaryFile[bytes] = field(default_factory=lambda: SpooledTemporaryFile(SPOOL_BYTES))

    def committed(self, said: DrawCommitment, at: int, *, false_reveal: bool = False) -> None:
        """A line of the commitment topic. `false_reveal`: it came with a key whose SHA-256 is another."""
        first = self._committed.setdefault(said.epoch, Commitment(said.key_sha256, at))
        fits = said.key_sha256 == first.key_sha256
        if false_reveal or not fits:
            reveals = false_reveal or said.key is not None
            kind = Kind.FALSE_REVEAL if reveals else Kind.SECOND_COMMITMENT
            what = f"the {'key revealed' if reveals else 'second commitment'} of {said.epoch}"
            self.tally.checked[Check.COMMITMENTS] += 1
            logged = "a key with another hash" if false_reveal else said.key_sha256
            self.tally.find(Finding(kind, "", "", what, logged, first.key_sha256))
        elif said.key is not None:
            self._known[said.key_sha256] = bytes.fromhex(said.key)
            first.revealed_at = at if first.revealed_at is None else min(first.revealed_at, at)

    def drawn(self, auction: LoggedAuction, draw: Draw, at: int) -> None:
        """A draw: checked at once if the key is known, else when it is."""
        self._use(auction, draw, at)
        key = self._key(draw.epoch, draw.key_sha256)
        parts = drawn_from(draw.algorithm, auction.auction_id, draw.scored_sha256, auction.query)
        logged = auction.query_id, auction.auction_id, draw.u, *parts
        if key is None:
            self._waiting.write(json.dumps((draw.key_sha256, *logged)).encode() + b"\n")
        else:
            self._check(key, *logged)

    def _use(self, auction: LoggedAuction, draw: Draw, at: int) -> None:
        keys = self._used.setdefault(draw.epoch, {})
        used = keys.get(draw.key_sha256)
        if used is None:
            used = keys[draw.key_sha256] = Used(0, at, at, auction.query_id, auction.auction_id)
        used.draws += 1
        used.first_at, used.last_at = min(used.first_at, at), max(used.last_at, at)

    def finish(self) -> None:
        """Check the draws whose key came later, and every epoch's commitment."""
        for key_sha256, *logged in self._lines():
            if (key := self._known.get(key_sha256)) is not None:
                self._check(key, *logged)
            else:
                self.tally.unverifiable[Check.DRAWS] += 1
        self.close()
        for epoch, keys in self._used.items():
            for key_sha256, used in keys.items():
                self._check_commitment(epoch, key_sha256, used)

    def close(self) -> None:
        self._waiting.close()

    def _lines(self) -> Iterator[list[str]]:
        self._waiting.seek(0)
        return (json.loads(line) for line in self._waiting)

    def _key(self, epoch: str | None, key_sha256: str) -> bytes | None:
        if key_sha256 not in self._known:
            for secret in self.secrets:
                key = derived_key(secret, epoch)
                if commitment_to(key) == key_sha256:
                    self._known[key_sha256] = key
        return self._known.get(key_sha256)

    def _check(self, key: bytes, query_id: str, auction_id: str, u: str, *parts: str) -> None:
        self.tally.checked[Check.DRAWS] += 1
        if (right := u_of(key, *parts)) != u:
            what = "u of the draw under the epoch's key"
            self.tally.find(Finding(Kind.WRONG_U, query_id, auction_id, what, u, right))

    def _check_commitment(self, epoch: str | None, key_sha256: str, used: Used) -> None:
        if not self._committed and not self.topic_read:  # not told
            self.tally.unverifiable[Check.COMMITMENTS] += used.draws
            return
        self.tally.checked[Check.COMMITMENTS] += used.draws
        first, drawn = self._committed.get(epoch or ""), f"drawn with {key_sha256}"
        if epoch is None:
            self._broken(Kind.UNCOMMITTED_DRAW, "no day", used, drawn, "the key of a day that is committed to")
        elif first is None:
            self._broken(Kind.NO_COMMITMENT, epoch, used, drawn, "a commitment in advance")
        elif first.key_sha256 != key_sha256:
            self._broken(Kind.BROKEN_COMMITMENT, epoch, used, drawn, first.key_sha256)
        elif first.at > used.first_at:
            self._broken(Kind.LATE_COMMITMENT, epoch, used, f"committed at {first.at}", f"before {used.first_at}")
        elif first.revealed_at is not None and used.last_at > first.revealed_at:
            drawn = f"one drawn at {used.last_at}"
            self._broken(
                Kind.DRAW_AFTER_REVEAL, epoch, used, drawn, f"none after its key was shown, at {first.revealed_at}"
            )

    def _broken(self, kind: Kind, epoch: str, used: Used, logged: str, right: str) -> None:
        what = f"the key of {epoch}, {used.draws} draws from here on"
        self.tally.find(Finding(kind, used.first_query, used.first_auction, what, logged, right))
