"""A stand-in for the checker: every planned query has one end, and no charge id is there twice."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import Consumer, Message, TopicPartition

from schemas.topics import CHARGED, SETTLED
from tests.chaos.watch import DEAD_LETTERS, WAIT_S

POLL_S = 0.2


def check(servers: str, plan: Path) -> list[str]:
    """What is wrong with the ends; nothing when all is well."""
    wanted: Counter[tuple[str, str]] = Counter()
    with plan.open() as lines:
        for line in lines:
            asked = json.loads(line)
            wanted[_end(asked)] += 1
    replies, charges, got = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    for message in _stored(servers, (SETTLED.name, CHARGED.name, *DEAD_LETTERS)):
        if message.topic() == CHARGED.name:
            charges[json.loads(message.value())["charge_id"]] += 1
        elif message.topic() == SETTLED.name:
            replies[json.loads(message.value())["query_id"]] += 1
        else:
            headers = dict(message.headers())
            reason = headers["dlq.reason"].decode()
            id_ = (
                json.loads(message.value())["query_id"]
                if reason == "DUPLICATE_QUERY"
                else headers["dlq.value.sha256"].decode()
            )
            got[(reason, id_)] += 1
    got.update({("settled", id_): count for id_, count in replies.items()})
    findings = [f"missing: {end} x{count}" for end, count in (wanted - got).items()]
    findings += [f"unplanned: {end} x{count}" for end, count in (got - wanted).items()]
    return findings + [f"charge id doubled: {id_} x{count}" for id_, count in charges.items() if count > 1]


def _end(asked: dict[str, str]) -> tuple[str, str]:
    by_id = asked["expect"] in ("settled", "DUPLICATE_QUERY")
    return asked["expect"], asked["query_id" if by_id else "value_sha256"]


def _stored(servers: str, topics: tuple[str, ...]) -> Iterator[Message]:
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "chaos.check",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    known = consumer.list_topics(timeout=WAIT_S).topics
    places = [TopicPartition(topic, number, 0) for topic in topics for number in known[topic].partitions]
    consumer.assign(places)
    open_ = len(places)
    while open_:
        for message in consumer.consume(500, POLL_S):
            if message.error() is None:
                yield message
            else:
                assert message.error().name() == "_PARTITION_EOF", message.error()
                open_ -= 1
    consumer.close()
