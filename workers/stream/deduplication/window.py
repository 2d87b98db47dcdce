"""How long ids are remembered, and which queries are too old to be settled. Decision 0014 has the argument."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from workers.settings import Settings

MILLISECOND = timedelta(milliseconds=1)
DAY = timedelta(days=1)
SKEW = timedelta(hours=2)  # between the clocks of brokers, and what a producer's stamp may be ahead of the broker's


@dataclass(frozen=True, slots=True)
class Window:
    """`length`: for so long after it was settled a query id is refused, and so old a query may be when it is settled.

    Both at once need twice that: an id that is sent again at the window's end may be settled a window later.
    """

    length: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The window that the settings give, in days."""
        return cls(timedelta(days=settings.id_window_days))

    @property
    def kept(self) -> timedelta:
        """How long the memory must hold an id."""
        return 2 * self.length + DAY

    @property
    def kept_ms(self) -> int:
        """`kept` in milliseconds, as topics have it in `retention.ms`."""
        return self.kept // MILLISECOND

    @property
    def least_kept_ms(self) -> int:
        """A topic that is kept for less knows of no query, not even one that is asked now, that it was not settled."""
        return (self.length + SKEW) // MILLISECOND

    @property
    def segment_ms(self) -> int:
        """A store forgets in steps of this length: two to three of them are held."""
        return self.kept_ms // 2

    def forgotten_ms(self, now_ms: int) -> int:
        """What was recorded earlier may be forgotten: the begin of a segment."""
        return max(0, (now_ms - self.kept_ms) // self.segment_ms * self.segment_ms)

    def oldest_ms(self, horizon_ms: int) -> int:
        """The earliest query that may be settled by a memory that holds everything since `horizon_ms`; 0: any."""
        return horizon_ms + self.least_kept_ms if horizon_ms else 0
