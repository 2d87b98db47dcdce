"""Settlement on Quix Streams: `python -m ... BOOTSTRAP GROUP RECORDS_PER_COMMIT GUARANTEE STATE_FOLDER`."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from quixstreams import Application
from quixstreams.models.serializers import Serializer

from schemas.record import Outgoing
from schemas.topics import CHARGED, SCORED, SETTLED
from tests.benchmarks.rivals.settling import settler

SESSION_MS, TRANSACTION_MS = 3_000, 20_000  # as our stage has them in this comparison; the defaults are longer
COMMIT_INTERVAL_S = 1.0  # so that the last records of the topic are not held back by the count


class OwnBytes(Serializer):  # type: ignore[misc]
    """The value as it was made."""

    def __call__(self, value: Outgoing, ctx: object) -> bytes:
        return value.value or b""


def main(bootstrap_servers: str, group: str, records: int, guarantee: Any, state: str) -> None:
    app = Application(
        broker_address=bootstrap_servers,
        consumer_group=group,
        auto_offset_reset="earliest",
        processing_guarantee=guarantee,
        commit_every=records,
        commit_interval=COMMIT_INTERVAL_S,
        auto_create_topics=False,
        state_dir=state,
        loglevel="WARNING",
        consumer_extra_config={"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": SESSION_MS // 4},
        producer_extra_config={"partitioner": "murmur2_random", "transaction.timeout.ms": TRANSACTION_MS},
    )
    scored = app.topic(SCORED.name, key_deserializer="bytes", value_deserializer="bytes")
    targets = {
        topic.name: app.topic(topic.name, key_serializer="bytes", value_serializer=OwnBytes())
        for topic in (SETTLED, CHARGED)
    }
    settle = settler()

    def follow(value: bytes, key: bytes, timestamp: int, headers: Sequence[tuple[str, bytes]]) -> Iterator[Outgoing]:
        yield from settle(key, value, tuple(headers))

    outgoing = app.dataframe(scored).apply(follow, expand=True, metadata=True)
    outgoing = outgoing.set_headers(lambda value, key, timestamp, headers: list(value.headers))
    outgoing.to_topic(lambda value, key, timestamp, headers: targets[value.topic], key=lambda value: value.key)
    app.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
