"""Who is told how each advertiser's own model does."""

from enum import StrEnum
from typing import Protocol


class CallOutcome(StrEnum):
    """How asking an own model for one auction ended; the value is a metric label."""

    ANSWERED = "answered"
    FAILED = "failed"  # an answer, but no rewards: the prompt is refused, the numbers cannot be used
    TIMED_OUT = "timed_out"
    DOWN = "down"
    SKIPPED = "skipped"  # not asked, as its breaker is open


class OwnModelObserver(Protocol):
    """`model` is the engine's name in the file of choices: at most 64 of them (own_engines.MAX_ENGINES)."""

    def own_model(self, model: str) -> None:
        """There is such a model; told before anything is asked of it."""

    def own_model_asked(self, model: str, outcome: CallOutcome, duration_s: float, *, slow: bool) -> None:
        """It was asked for an auction, or by a probe; `slow`: it took more than half of the time it is judged by."""

    def own_model_skipped(self, model: str) -> None:
        """An advertiser abstained without asking it."""

    def own_model_breakers(self, model: str, change: int) -> None:
        """For one advertiser more (1) or less (-1) it is left out for a while."""


class NoObserver:
    """Tells nobody."""

    def own_model(self, model: str) -> None: ...
    def own_model_asked(self, model: str, outcome: CallOutcome, duration_s: float, *, slow: bool) -> None: ...
    def own_model_skipped(self, model: str) -> None: ...
    def own_model_breakers(self, model: str, change: int) -> None: ...
