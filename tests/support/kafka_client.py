"""An independent Kafka client for tests: librdkafka, which shares no code with the workers' aiokafka."""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Self

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from schemas.topics import CHARGED, DEAD_LETTERS, GENERATED, QUERIES, SCORED, SETTLED

WAIT_S = 120.0
MAX_BYTES = 20 * 1024 * 1024
EVERYTHING = (GENERATED.name, SCORED.name, SETTLED.name, CHARGED.name, *DEAD_LETTERS)

NO_LOGIN: Mapping[str, str] = MappingProxyType({})
Header = tuple[str, bytes]


def produce(
    kafka: str,
    records: Iterable[tuple[bytes | None, bytes | None, Sequence[Header]]],
    topic: str = QUERIES.name,
    login: Mapping[str, str] = NO_LOGIN,
) -> None:
    """(key, value, headers) to a topic, as a stranger would; AssertionError with what Kafka did not take."""
    producer = Producer(
        {"bootstrap.servers": kafka, "partitioner": "murmur2_random", "message.max.bytes": MAX_BYTES, **login}
    )
    errors: list[object] = []
    for key, value, headers in records:
        producer.produce(
            topic, key=key, value=value, headers=list(headers), on_delivery=lambda error, _: errors.append(error)
        )
    assert producer.flush(WAIT_S) == 0
    refused = [str(error) for error in errors if error]
    assert not refused, refused


class Reader:
    """Everything committed to some topics from now on."""

    def __init__(self, kafka: str, topics: Sequence[str] = EVERYTHING, login: Mapping[str, str] = NO_LOGIN) -> None:
        self.messages: list[Message] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": f"test-{uuid.uuid4()}",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                **login,
            }
        )
        known = self._consumer.list_topics(timeout=WAIT_S).topics
        assignment = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
        for place in assignment:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=WAIT_S)[1]
        self._consumer.assign(assignment)

    def until(self, enough: Callable[[list[Message]], bool], within_s: float = WAIT_S) -> list[Message]:
        """Read until `enough` of all messages so far; AssertionError when time is over."""
        deadline = time.monotonic() + within_s
        while not enough(self.messages):
            assert time.monotonic() < deadline, f"only {counts(self.messages)} within {within_s} s"
            self.poll(0.2)
        return self.messages

    def poll(self, timeout_s: float, most: int = 500) -> None:
        """What comes within a moment, so many records at most."""
        for message in self._consumer.consume(most, timeout_s):
            if message.error():
                raise KafkaException(message.error())
            self.messages.append(message)

    def rest(self, quiet_s: float = 3.0) -> list[Message]:
        """All messages, once nothing more comes for a while: what is doubled shows up late."""
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < quiet_s:
            before = len(self.messages)
            self.poll(0.2)
            if len(self.messages) > before:
                quiet_since = time.monotonic()
        return self.messages

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._consumer.close()


def until_no_transaction(kafka: str, topics: Sequence[str], within_s: float = WAIT_S) -> None:
    """Wait until no transaction is open on the topics.

    A worker that is stopped leaves one; it holds up every reader behind it until a successor or its time-out ends it.
    """
    deadline = time.monotonic() + within_s
    while ends(kafka, topics, "read_committed") != ends(kafka, topics, "read_uncommitted"):
        assert time.monotonic() < deadline, f"a transaction is open on {topics} for {within_s} s"
        time.sleep(0.05)


def ends(kafka: str, topics: Sequence[str], isolation: str) -> dict[tuple[str, int], int]:
    """Where each partition ends for such a reader."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "ends", "isolation.level": isolation})
    try:
        known = consumer.list_topics(timeout=WAIT_S).topics
        places = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
        return {
            (place.topic, place.partition): consumer.get_watermark_offsets(place, timeout=WAIT_S)[1] for place in places
        }
    finally:
        consumer.close()


def of(messages: Iterable[Message], *topics: str) -> list[Message]:
    return [message for message in messages if message.topic() in topics]


def counts(messages: Iterable[Message]) -> dict[str, int]:
    """How many messages of each topic."""
    found: dict[str, int] = {}
    for message in messages:
        found[message.topic()] = found.get(message.topic(), 0) + 1
    return found


def header(message: Message, name: str) -> str:
    return dict(message.headers() or [])[name].decode()
