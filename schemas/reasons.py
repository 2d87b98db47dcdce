"""Why something was refused, abstained or void: numbers that are never reused.

The gaps in the numbering of dead letters belong to reasons that later stages will need (unknown advertiser 5, bad
signature 6, no candidates 9, internal 13).
"""

from enum import IntEnum, unique
from typing import Self, cast


@unique
class DeadLetterReason(IntEnum):
    """Why a record went to its dead-letter topic; the name is also a metric label and the header `dlq.reason`."""

    BAD_JSON = 1  # the value is empty, not UTF-8, or not JSON
    BAD_SCHEMA = 2  # JSON, but not the event: a field is missing, unknown, of the wrong type or out of bounds
    TOO_LARGE = 3  # the value has more bytes than the topic's readers accept
    BAD_NUMBER = 4  # NaN, an infinity, or a number outside its bounds
    DUPLICATE_QUERY = 7  # its query id was settled, by another auction or from another scored event: that one stands
    EXPIRED = 8  # its deadline had passed when the query was read, or it is older than settled ids are remembered
    ENGINE_REJECTED = 10  # the model cannot take this question (too long for its context)
    RETRIES_EXHAUSTED = 11  # the engine timed out again and again, and the deadline allows no more attempts
    CRASHED_WORKER = 12  # three processes in a row ended while they worked on it
    BAD_HEADERS = 14  # a header is not UTF-8, or an envelope attribute is malformed
    BAD_KEY = 15  # the record's key is not the query id of its value
    BAD_EPOCH = 16  # the scored event names no day to draw on, or one that had not begun by the broker's clock
    UNREADABLE = 17  # what Kafka stores cannot be unpacked or parsed: the letter holds the packed batch
    SET_ASIDE = 18  # an operator put it there by hand: `tessera dlq send`
    WRONG_PARTITION = 19  # its query id belongs to another partition, whose owner knows whether it was settled
    KEY_REVEALED = 20  # the key of its day is shown to everybody: a draw could be foretold


@unique
class RepeatReason(IntEnum):
    """How an auction came to a stage again after its outcome was published; the name is also a metric label.

    Nobody is billed for it. Many of them mean that a position upstream went back, and model time was wasted.
    """

    SAME_EVENT = 301  # the event was worked on before: nothing is published again
    SCORED_AGAIN = 302  # drawn or scored a second time, with other bytes: a dead letter, DUPLICATE_QUERY


class Reported(IntEnum):
    """Numbers that decide nothing for who reads them: one that a newer release has added is passed on as it is.

    All of a subclass are of the same hundred.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """The newer reason of that number, named after it; it is no member, so nobody writes it by name."""
        if not isinstance(value, int) or value // 100 != min(cls) // 100:
            return None
        newer = int.__new__(cls, value)
        newer._name_, newer._value_ = f"NEWER_{value}", value
        return cast(Self, cls._value2member_map_.setdefault(value, newer))


@unique
class AbstentionReason(Reported):
    """Why one advertiser had no influence on an auction and paid nothing."""

    NO_CONSENT = 101  # the query does not consent to advertising
    BLOCKED_CATEGORY = 102  # the query blocks one of the advertiser's categories
    PROMPT_REJECTED = 103  # the model cannot take the advertiser's prompt (too long for its context)
    ENGINE_FAILED = 104  # the model failed while it scored this advertiser
    DEADLINE_PASSED = 105  # the query's deadline passed while this advertiser was scored
    REWARD_NOT_FINITE = 106  # a reward was NaN or infinite
    OWN_MODEL_DOWN = 107  # the advertiser's own model is down, or gave no answer within its time, now or as a rule
    BELOW_FLOOR = 108  # the query asks for fewer candidates, or shorter ones, than the operator advertises with
    MISLEADING_NAME = 109  # the name holds a quotation mark or ends a sentence: the disclosure would read otherwise

    # What the registry says, before any bid is read. (119, budget, 120, pacing, and 121, frequency cap, are to come.)
    UNKNOWN_ADVERTISER = 110  # the query names an id that the registry does not have, or there is no registry
    NOT_APPROVED = 111  # its profile is a draft, paused, or removed
    OUTSIDE_SCHEDULE = 112  # its schedule does not hold the moment at which the broker took the query
    OTHER_CATEGORY = 113  # it sells in other categories than the query's
    BLOCKED_BY_ADVERTISER = 114  # it does not appear beside questions of this category
    SENSITIVE_QUESTION = 115  # the query is called sensitive, and the advertiser does not bid on such
    RIVAL_PRESENT = 116  # a rival bids, and one of the two does not appear beside the other
    NOT_AMONG_FIRST = 117  # the question found it, behind as many others as may bid
    OTHER_CURRENCY = 118  # its profile is in another currency than the auction's
    INLINE_FORBIDDEN = 122  # the query brings an advertiser that is registered, or may bring none at all
    OTHER_REWARD_SOURCE = 123  # its profile names a reward source that scoring has not opened for it


@unique
class VoidReason(Reported):
    """Why an auction was not held although advertisers took part; the user still gets an advert-free reply."""

    REFERENCE_NOT_SCORED = 201  # the reference model could not score the candidates
    DEADLINE_PASSED = 202  # the deadline passed before the candidates were scored
    ALL_ABSTAINED = 203  # no advertiser was left after scoring
    OTHER_TOKENIZER = 204  # the candidates are token ids of another tokenizer than the reference model's
    LATE = 205  # by the broker's clock the candidates were scored after the deadline that the query states
