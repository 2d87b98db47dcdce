"""Auctions that were over before all their events were read, as some clock was ahead: compared when those are read."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.topics import GENERATED
from workers.audit.disk_map import DiskMap
from workers.audit.lineage import Difference
from workers.audit.log.horizon import Horizon
from workers.audit.log.lineage import Lineage


@dataclass
class LateEvents:
    """Told of each auction when it is over. What may still be compared waits on disk."""

    horizon: Horizon
    _waiting: DiskMap = field(default_factory=DiskMap)  # Lineage.to_text by auction

    def keep(self, auction_id: str, lineage: Lineage, newest_ms: int) -> None:
        """An auction is over; `newest_ms`: of its records' timestamps. What retention has deleted does not come."""
        lacks_query = lineage.query is None and bool(lineage.generated)
        lacks_generated = lineage.missing is not None and self.horizon.must_hold(GENERATED.name, newest_ms)
        if lacks_query or lacks_generated:
            self._waiting.put(auction_id, lineage.to_text())

    def compare(self, auction_id: str, kind: str, value: bytes | None) -> Iterator[Difference]:
        """An event of the auction is read; what did not follow that was not told before."""
        if (text := self._waiting.get(auction_id)) is None:
            return
        lineage = Lineage.from_text(text)
        told = set(lineage.differences())
        lineage.add(kind, value)
        self._waiting.put(auction_id, lineage.to_text())
        yield from (one for one in lineage.differences() if one not in told)

    def finish(self) -> Iterator[tuple[str, Difference]]:
        """Auctions whose generated event never came."""
        for auction_id, text in self._waiting.items():
            if (missing := Lineage.from_text(text).missing) is not None:
                yield auction_id, missing
        self._waiting.close()
