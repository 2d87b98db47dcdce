"""Link groups: advertisers known to be one party bid as one, so false names save nothing (mechanism/README §6)."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from workers.mechanism.allocation import Floats, InvalidAuction


@dataclass(frozen=True, slots=True)
class Grouped:
    """The bids of G parties, in the order of their first members."""

    rewards: Floats  # [G, M] micros; the rows themselves where nobody is linked
    members: tuple[tuple[int, ...], ...]  # [G] the rows each was summed from


def group(rewards: Floats, labels: Sequence[Hashable]) -> Grouped:
    """One row for each label: the sum of its advertisers' rewards, [G, M] micros. Raises InvalidAuction.

    `rewards`: [N, M] micros; `labels`: [N], row i has label i, and rows with equal labels are one party. The allocation
    depends on the sum of all rows only, so it stays as it was; each party pays for what all its members together
    changed. Labels must not depend on reports.
    """
    if rewards.ndim != 2 or len(labels) != len(rewards):
        raise InvalidAuction(
            f"rewards {rewards.shape} must be [N, M] with one label for each of the {len(labels)} rows"
        )
    parties: dict[Hashable, list[int]] = {}
    for row, label in enumerate(labels):
        parties.setdefault(label, []).append(row)
    members = tuple(map(tuple, parties.values()))
    if len(members) == len(rewards):  # nobody is linked, as in most auctions: each row is its own sum
        return Grouped(rewards, members)
    sums = np.zeros((len(parties), rewards.shape[1]))
    for party, rows in enumerate(members):
        sums[party] = np.add.reduce(rewards[list(rows)])
    return Grouped(sums, members)
