"""The topics as they are to be created: partitions, copies and settings of each."""

from collections.abc import Mapping
from datetime import timedelta

from schemas.topics import (
    CHARGED,
    COMMITMENTS,
    CREDITED,
    DEAD_LETTER_MAX_BYTES,
    DEAD_LETTER_RETENTION,
    DEAD_LETTERS,
    FOR_EVER,
    MEBIBYTE,
    PROFILE_HISTORY,
    PROFILES,
    SETTLED_QUERIES,
    TERMS,
    TOPICS,
    Topic,
)
from workers.pipeline import POSITIONS
from workers.settings import Settings
from workers.stream.admin.timestamps import BY_BROKER, TYPE
from workers.stream.connection.admin_client import TopicPlan
from workers.stream.deduplication.window import DAY, MILLISECOND, Window

NEVER = -1  # Kafka's word for it
SMALL_SEGMENTS = {"segment.bytes": str(16 * MEBIBYTE)}  # only what is in a segment of the past is ever compacted


def planned_topics(settings: Settings) -> tuple[TopicPlan, ...]:
    """The topics of the table, the dead-letter topics of those that a worker consumes, and the stages' positions."""
    topics = [
        _plan(
            settings,
            topic.name,
            _partitions(settings, topic),
            _kept(settings, topic),
            topic.max_message_bytes,
        )
        for topic in TOPICS
    ]
    kept = _retention("delete", DEAD_LETTER_RETENTION)
    letters = [_plan(settings, name, 1, kept, DEAD_LETTER_MAX_BYTES) for name in DEAD_LETTERS]
    positions = [
        _plan(settings, name, settings.partitions, _retention("compact", FOR_EVER) | SMALL_SEGMENTS, MEBIBYTE)
        for name in POSITIONS
    ]
    return (*topics, *letters, *positions)


def _partitions(settings: Settings, topic: Topic) -> int:
    if topic in (COMMITMENTS, TERMS):
        return topic.partitions  # so few that everybody may read them all, in one order
    return max(topic.partitions, settings.partitions) if topic in (CHARGED, CREDITED) else settings.partitions


def _kept(settings: Settings, topic: Topic) -> Mapping[str, str]:
    if topic is SETTLED_QUERIES:
        return _memory(settings)
    kept = _retention(topic.cleanup, topic.retention)
    if topic is PROFILES:
        kept |= SMALL_SEGMENTS | {"min.compaction.lag.ms": str(PROFILE_HISTORY // MILLISECOND)}
    return kept


def _retention(cleanup: str, retention: timedelta) -> dict[str, str]:
    """The settings that say what is deleted, and when."""
    retention_ms = NEVER if retention == FOR_EVER else retention // MILLISECOND
    return {"cleanup.policy": cleanup, "retention.ms": str(retention_ms)}


def _memory(settings: Settings) -> dict[str, str]:
    """Ids are kept as long as the window needs them; what is older goes with whole segments of the log."""
    window = Window.of(settings)
    segment_ms = min(DAY, window.length) // MILLISECOND
    return {"cleanup.policy": "compact,delete", "retention.ms": str(window.kept_ms), "segment.ms": str(segment_ms)}


def _plan(settings: Settings, name: str, partitions: int, kept: Mapping[str, str], max_message_bytes: int) -> TopicPlan:
    configs = {
        **kept,
        "max.message.bytes": str(max_message_bytes),
        # Stamped by the broker: nobody can backdate a bill, and no query is deleted for its producer's wrong clock.
        TYPE: BY_BROKER,
        "min.insync.replicas": "2" if settings.replication_factor >= 3 else "1",
        "unclean.leader.election.enable": "false",
    }
    return TopicPlan(name, partitions, settings.replication_factor, configs)
