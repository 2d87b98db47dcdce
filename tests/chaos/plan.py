"""A round as it is planned, and as it was."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What a round is to be."""

    auctions: int
    seed: int
    faults: Mapping[str, int]
    replicas: int = 2
    is_static: bool = True
    nodes: int = 1
    fills_offsets: bool = False  # whether the logs of committed offsets become long, see filler.py
    has_strangers: bool = False  # whether there are batches that no client library would send
    without: str = ""  # what workers go without, see walls.py
    backlog: int = 1_500
    rate_hz: float = math.inf  # of the queries
    limit_s: float = 1_800.0


@dataclass
class Outcome:
    """What a round was."""

    auctions: int
    seed: int
    planned: dict[str, int]
    happened: dict[str, int]
    exits: dict[str, int]
    duration_s: float
    healed_s: float
    stall_s: float
    latency_ms: dict[str, float | None]
    recovery_s: list[float]
    recovery_amid_others_s: list[float]
    idle_kills: int
    zombies: dict[str, int]
    waste: dict[str, int]
    findings: list[str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
