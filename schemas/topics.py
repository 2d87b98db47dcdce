"""The topic table: what each topic carries, how it is keyed, and what of it is kept for how long."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from schemas.advertiser import AdvertiserProfile
from schemas.auction import CandidatesGenerated, CandidatesScored
from schemas.billing import AdvertiserCharged, AdvertiserCredited
from schemas.draw import DrawCommitment
from schemas.incentive import IncentiveMeasured
from schemas.payload import Payload
from schemas.query import QuerySubmitted
from schemas.reply import ReplySettled
from schemas.settled import QuerySettled
from schemas.terms import TermsPublished

MEBIBYTE = 1024 * 1024
DEAD_LETTER_SUFFIX = ".dlq"
POSITION_SUFFIX = ".position.v1"  # of a stage's group: the topic in which the stage writes where it stands
FOR_EVER = timedelta.max


@dataclass(frozen=True)
class Topic:
    """One topic. Its name is the type of the events it carries; partition counts never change once data is in it.

    `cleanup` "compact": of each key only the newest record need be kept.
    """

    payload: type[Payload]
    key: Literal["query_id", "advertiser_id", "epoch", "terms_id"]
    retention: timedelta
    partitions: int
    max_message_bytes: int
    cleanup: Literal["delete", "compact"] = "delete"

    #: Whether a stage answers for each of its records: one that it cannot work on becomes a dead letter.
    is_worked_off: bool = False

    #: Whether partitions may be added: nothing that is remembered of a key lies in the partition that it belongs to.
    may_grow: bool = False

    @property
    def name(self) -> str:
        return self.payload.event_type

    @property
    def dead_letters(self) -> str:
        """The topic of the records that this topic's readers refused."""
        return self.name + DEAD_LETTER_SUFFIX


# The broker takes larger queries than the readers accept: what is too large becomes a numbered dead letter with its
# bytes intact, and the producer is told why, instead of an error that only its own log shows.
QUERIES = Topic(QuerySubmitted, "query_id", timedelta(days=7), 4, 16 * MEBIBYTE, is_worked_off=True, may_grow=True)
GENERATED = Topic(
    CandidatesGenerated, "query_id", timedelta(days=3), 4, 9 * MEBIBYTE, is_worked_off=True, may_grow=True
)
SCORED = Topic(CandidatesScored, "query_id", timedelta(days=90), 4, 9 * MEBIBYTE, is_worked_off=True)
SETTLED = Topic(ReplySettled, "query_id", timedelta(days=90), 4, 9 * MEBIBYTE)  # as long as the audit reads scored
CHARGED = Topic(AdvertiserCharged, "advertiser_id", timedelta(days=400), 12, MEBIBYTE)
CREDITED = Topic(AdvertiserCredited, "advertiser_id", CHARGED.retention, CHARGED.partitions, MEBIBYTE)
COMMITMENTS = Topic(DrawCommitment, "epoch", timedelta(days=400), 1, MEBIBYTE)
TERMS = Topic(TermsPublished, "terms_id", FOR_EVER, 1, MEBIBYTE)
INCENTIVES = Topic(IncentiveMeasured, "query_id", timedelta(days=90), 4, MEBIBYTE)

# As many partitions as SCORED: who owns a partition of that owns the memory of its ids. TESSERA_ID_WINDOW_DAYS says how
# long it is kept; made by a release without that setting, it is kept for ever.
SETTLED_QUERIES = Topic(QuerySettled, "query_id", FOR_EVER, SCORED.partitions, MEBIBYTE, cleanup="compact")

PROFILES = Topic(AdvertiserProfile, "advertiser_id", FOR_EVER, 4, MEBIBYTE, cleanup="compact")

#: Every profile that was ever valid lies in its topic for so long, also after a newer one: as long as the audit reads
#: scored events, it can be told which profile an auction was held under.
PROFILE_HISTORY = timedelta(days=90)

TOPICS = (
    *(QUERIES, GENERATED, SCORED, SETTLED, CHARGED, COMMITMENTS, INCENTIVES, SETTLED_QUERIES, CREDITED),
    *(PROFILES, TERMS),
)
BY_NAME = {topic.name: topic for topic in TOPICS}

#: Topics whose readers remember no ids: a key may move to another partition. Two records of one query id may then be
#: worked on at once, as before; settlement, whose topics keep their number of partitions, settles one of them.
MAY_GROW = frozenset(topic.name for topic in TOPICS if topic.may_grow)

#: The topics of dead letters, and whose records each holds.
DEAD_LETTERS = {topic.dead_letters: topic for topic in TOPICS if topic.is_worked_off}

#: Dead letters keep the refused record whole, so their topics take anything the topics above take, and its headers.
DEAD_LETTER_RETENTION = timedelta(days=30)
DEAD_LETTER_MAX_BYTES = 17 * MEBIBYTE


def topic_of(payload: Payload) -> Topic:
    """The topic an event belongs to; KeyError for a type that is not in the table."""
    return BY_NAME[payload.event_type]
