"""The errors of decoding an event, apart from the events: whoever only reports them needs no model of any."""

from schemas.reasons import DeadLetterReason


class BadRecord(Exception):
    """A record that can never become an event: `reason` is its number, the message says where and what."""

    def __init__(self, reason: DeadLetterReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnknownValue(BadRecord):
    """All that is wrong with an event of our stages is a word that decides something and that this release lacks.

    A newer release writes such words; refusing the event would lose what the newer one is right about.
    """
