"""The draw once more, from its published description (draw-v1, draw-v2): keys, u, weights and pick, in integers."""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from itertools import accumulate

ONE = 2.0**62  # the weight of probability 1
BITS = 128


def message(*parts: str) -> bytes:
    """The parts as netstrings: `<length>:<part>,` each."""
    return "".join([f"{len(part)}:{part}," for part in parts]).encode()


def derived_key(secret: bytes, epoch: str | None) -> bytes:
    """The key of an epoch under a secret; without an epoch the secret itself."""
    return secret if epoch is None else hmac.digest(secret, message("draw-epoch-v1", epoch), sha256)


def commitment_to(key: bytes) -> str:
    """What is published before the epoch."""
    return sha256(key).hexdigest()


def u_of(key: bytes, *parts: str) -> str:
    """The first 128 bits of HMAC-SHA256 over the algorithm and what it draws from, 32 hex digits."""
    return hmac.digest(key, message(*parts), sha256)[: BITS // 8].hex()


def drawn_from(algorithm: str, auction_id: str, scored_sha256: str, query: Sequence[str]) -> tuple[str, ...]:
    """What u is made from: draw-v1 takes the scored event, draw-v2 the record of the query."""
    return (algorithm, *query) if algorithm == "draw-v2" else (algorithm, auction_id, scored_sha256)


def weights_of(probabilities: Sequence[float]) -> tuple[int, ...]:
    """[M] floor(π·2⁶²), at least 1 where π > 0."""
    return tuple([int(min(p, 1.0) * ONE) or int(p > 0.0) for p in probabilities])


def picked(weights: Sequence[int], u: str) -> int | None:
    """The smallest j with u·Σw < 2¹²⁸·Σ_{k≤j} w_k; None if there is none, because all weights are 0."""
    target = int(u, 16) * sum(weights)
    return next((j for j, reached in enumerate(accumulate(weights)) if target < reached << BITS), None)
