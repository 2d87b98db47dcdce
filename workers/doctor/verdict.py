"""What a check of the surroundings says: one finding, its weight, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """`FAILED`: the workers do not work, or not safely. `WARNING`: they do, within limits. `UNKNOWN`: not visible."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    """One check's result. `advice` is empty where there is nothing to do."""

    group: str
    check: str
    state: State
    said: str
    advice: str = ""
