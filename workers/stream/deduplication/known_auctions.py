"""The auctions that a stage has finished: for each query id which one counts, and from which scored event."""

from enum import Enum, auto, unique

from workers.stream.deduplication.store import Remembered, Store


@unique
class IdStatus(Enum):
    """What is known of an event's query id."""

    NEW = auto()
    SAME_EVENT = auto()  # this very event was worked on, or this auction, and nobody wrote down from which event
    SAME_AUCTION = auto()  # this auction was worked on, from an event of other bytes
    OTHER_AUCTION = auto()


class KnownAuctions:
    """What the store holds, and what is not there yet: not committed, or not read back."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._fresh: dict[str, Remembered] = {}

    @property
    def fresh(self) -> int:
        """How many are not known to be in the store."""
        return len(self._fresh)

    def add(self, query_id: str, auction_id: str, scored_sha256: str | None) -> None:
        """From now on this auction is the one that counts for the query id."""
        self._fresh[query_id] = Remembered(auction_id, scored_sha256)

    def drop_stored(self) -> None:
        """Let go of what the store has by now."""
        self._fresh = {id_: known for id_, known in self._fresh.items() if self._store.get(id_) != known}

    def standing(self, query_id: str, auction_id: str, scored_sha256: str) -> IdStatus:
        """How the event of these ids and this digest stands to what is known."""
        found = self._fresh.get(query_id) or self._store.get(query_id)
        if found is None:
            return IdStatus.NEW
        if found.auction_id != auction_id:
            return IdStatus.OTHER_AUCTION
        return IdStatus.SAME_EVENT if found.scored_sha256 in (scored_sha256, None) else IdStatus.SAME_AUCTION
