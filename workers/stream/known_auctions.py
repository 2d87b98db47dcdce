"""The auctions that a stage has finished: for each query id which one counts, and from which scored event."""

from enum import Enum, auto, unique

from workers.known_ids import KnownIds

NOT_RECORDED = ""  # in place of a digest: records of the memory were written without one until 2026-11


@unique
class Standing(Enum):
    """What is known of an event's query id."""

    NEW = auto()
    SAME_EVENT = auto()  # this very event was worked on, or this auction, and nobody wrote down from which event
    SAME_AUCTION = auto()  # this auction was worked on, from an event of other bytes
    OTHER_AUCTION = auto()


class KnownAuctions:
    """A map from query ids to an auction id and the SHA-256 of the scored event, in tables of digests."""

    def __init__(self) -> None:
        self._ids = KnownIds(texts=2)

    def __len__(self) -> int:
        """How many query ids are known."""
        return len(self._ids)

    def add(self, query_id: str, auction_id: str, scored_sha256: str | None) -> None:
        """From now on this auction is the one that counts for the query id."""
        self._ids.add(query_id, auction_id, scored_sha256 or NOT_RECORDED)

    def standing(self, query_id: str, auction_id: str, scored_sha256: str) -> Standing:
        """How the event of these ids and this digest stands to what is known."""
        found = self._ids.find(query_id)
        if found is None:
            return Standing.NEW
        auction, scored = found
        if auction != self._ids.word(auction_id):
            return Standing.OTHER_AUCTION
        same = {self._ids.word(digest) for digest in (scored_sha256, NOT_RECORDED)}
        return Standing.SAME_EVENT if scored in same else Standing.SAME_AUCTION
