"""When the learning rate falls and when a run is over: both follow from tokens and measured losses, never the clock."""

from __future__ import annotations

from typing import Any

WARM_UP_STEPS = 100
#: The rate falls over this share of the tokens seen before.
DECAY = 0.3
#: Measurements in which the loss has to fall by `FALL` of itself, or the rate begins to.
PATIENCE, FALL = 6, 0.01


class Schedule:
    """Tokens seen, losses measured, and since when the rate falls."""

    def __init__(self, tokens: float, every: float) -> None:
        self._limit, self._every = tokens, every
        self.seen = 0
        self.losses: list[float] = []
        self.falls_from: int | None = None

    @property
    def last(self) -> float:
        """The last measured loss, nats per reply token; NaN before the first."""
        return self.losses[-1] if self.losses else float("nan")

    @property
    def over(self) -> bool:
        """Whether the rate has reached zero."""
        return self.falls_from is not None and self._fallen() >= 1

    def rate(self, step: int) -> float:
        """Share of the full rate at `step`."""
        warm = min(1.0, (step + 1) / WARM_UP_STEPS)
        return warm if self.falls_from is None else warm * max(0.0, 1 - self._fallen())

    def advance(self, tokens: int) -> bool:
        """Count the tokens of a step; whether a measurement is due."""
        before, self.seen = self.seen, self.seen + tokens
        return int(before / self._every) < int(self.seen / self._every)

    def note(self, loss: float) -> None:
        """Take in a measurement; the rate begins to fall once the losses no longer do."""
        self.losses.append(loss)
        if self.falls_from is None and (self.seen >= self._limit or self._level()):
            self.falls_from = self.seen

    def outlook(self) -> str:
        """What comes next, for people."""
        if self.falls_from is None:
            return f"full rate up to {self._limit / 1e6:.0f}M tokens or until the loss is level"
        return f"{100 * self._fallen():.0f} % of the way down"

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"seen": self.seen, "losses": self.losses, "falls_from": self.falls_from}

    def restore(self, kept: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.seen, self.losses, self.falls_from = kept["seen"], list(kept["losses"]), kept["falls_from"]

    def _fallen(self) -> float:
        start = self.falls_from or 0
        return (self.seen - start) / (DECAY * start)

    def _level(self) -> bool:
        recent, before = self.losses[-PATIENCE:], self.losses[:-PATIENCE]
        return bool(before) and min(recent) > min(before) * (1 - FALL)
