"""Whether an auction is held, told from its scored event and from when the broker took that: as any replay tells it."""

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.reasons import VoidReason


def why_void(event: Event[CandidatesScored]) -> VoidReason | None:
    """Why the auction is not held although somebody bids: what scoring found, or that it was scored too late."""
    return VoidReason.LATE if event.data.is_held and _is_late(event) else event.data.void_reason


def is_held(event: Event[CandidatesScored]) -> bool:
    """Whether somebody bids, and the auction is not void."""
    return event.data.is_held and not _is_late(event)


def _is_late(event: Event[CandidatesScored]) -> bool:
    """Whether the broker took the event after a deadline that somebody stated; unknown without the broker's time."""
    scored, at = event.data, event.recorded_at
    return bool(scored.deadline_stated) and at is not None and at > scored.deadline
