"""The draw in integers: the same on every machine, and repeatable by anyone with the key (mechanism/README §8)."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

import numpy as np

from schemas.identity import netstrings
from workers.mechanism.allocation import Floats

ALGORITHM: Final = "draw-v2"
BEFORE_QUERY_RECORDS: Final = "draw-v1"  # of scored events that do not name the record of their query
WEIGHT_ONE = 2.0**62  # the weight of probability 1
U_BITS = 128


@dataclass(frozen=True, slots=True)
class DrawnCandidate:
    """The chosen candidate and what fixed it."""

    index: int
    weights: tuple[int, ...]  # [M]
    u: int  # uniform in [0, 2**128)


def integer_weights(pi: Floats) -> tuple[int, ...]:
    """[M] integers floor(π·2⁶²), at least 1 where π > 0. `pi`: [M] probabilities."""
    scaled = [int(probability * WEIGHT_ONE) for probability in np.minimum(pi, 1.0).tolist()]  # exact: a power of two
    if 0 in scaled:
        return tuple(weight or int(probability > 0) for weight, probability in zip(scaled, pi.tolist(), strict=True))
    return tuple(scaled)


def uniform(key: bytes, auction_id: str, scored_digest: str, query: Sequence[str] = ()) -> int:
    """The first 128 bits of HMAC-SHA256(key, "draw-v2", *query), the parts as netstrings.

    `query`: where the query's record stands (topic, partition, offset, incarnation if known) and the hexadecimal
    SHA-256 of its bytes: nothing that a worker writes. Without them draw-v1, which a worker that knows the key can
    grind: `7:draw-v1,64:<auction id>,64:<digest of the scored event>,`.
    """
    parts = (ALGORITHM, *query) if query else (BEFORE_QUERY_RECORDS, auction_id, scored_digest)
    message = netstrings(*parts)
    mac = _keyed(key).copy()
    mac.update(message)
    return int.from_bytes(mac.digest()[: U_BITS // 8], "big")


@lru_cache(8)
def _keyed(key: bytes) -> hmac.HMAC:
    """The key's own part of the HMAC, a third of the cost of a draw."""
    return hmac.new(key, digestmod=sha256)


def pick(weights: Sequence[int], u: int) -> int:
    """The smallest j with u·Σw < 2¹²⁸·Σ_{k≤j} w_k. `weights`: [M] integers ≥ 0; u in [0, 2¹²⁸).

    ValueError: all weights are 0.
    """
    target = u * sum(weights)
    reached = 0
    for index, weight in enumerate(weights):
        reached += weight
        if target < reached << U_BITS:
            return index
    raise ValueError("no candidate has a positive weight")


def choose(pi: Floats, key: bytes, auction_id: str, scored_digest: str, query: Sequence[str] = ()) -> DrawnCandidate:
    """Draw one candidate. `pi`: [M] probabilities; `key`: the epoch's; the others as for `uniform`."""
    weights, u = integer_weights(pi), uniform(key, auction_id, scored_digest, query)
    return DrawnCandidate(pick(weights, u), weights, u)
