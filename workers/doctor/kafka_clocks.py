"""Checks of clocks and stamps: this machine's and the workers' clocks against the brokers', and who stamps queries."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

from aiokafka import TopicPartition

from schemas.moments import read_moment
from schemas.topics import GENERATED, QUERIES, SCORED
from workers.doctor.kafka_cluster import Findings, Inspected, few, no_topics
from workers.doctor.verdict import State
from workers.stream.admin.timestamps import BY_BROKER, TYPE, danger, deletes_at_once, remedies
from workers.stream.connection.admin_client import EARLIEST, LATEST
from workers.stream.connection.clients import Clients
from workers.stream.connection.clocks import REMEDY, ahead_of_controller_s, said
from workers.stream.reader import SilentPartitions, consumer_at, poll


async def stamps(kafka: Inspected) -> Findings:
    if QUERIES.name not in kafka.present:
        return no_topics()
    configs = kafka.configs[QUERIES.name]
    if deletes_at_once(configs):
        return State.WARNING, danger(), remedies(Clients(kafka.settings))
    if configs[TYPE] == BY_BROKER:
        return State.OK, "queries are stamped by the broker", ""
    return State.OK, "the broker refuses a query whose stamp is older than its retention", ""


TOLERANCE_S = 2.0
WRITTEN_BY_CLOCK = {GENERATED.name: "generation", SCORED.name: "scoring"}  # their stages' clock is in each event
NEWEST_OFFSETS = 6  # of each partition: about as many markers of transactions as records
SILENCE_S = 3.0


async def clock(kafka: Inspected) -> Findings:
    """The active controller tells its clock; of other brokers only one that is ahead shows, by the stamps it gave."""
    ahead = await ahead_of_controller_s(kafka.cluster)
    if ahead is not None and abs(ahead) > TOLERANCE_S:
        return State.WARNING, said(ahead), REMEDY
    if stamped := await _stamped_later_than_now(kafka):
        found = f"records are stamped more than {TOLERANCE_S:g} s in this machine's future: {few(stamped)}"
        return State.WARNING, found, REMEDY
    if ahead is None:
        return State.UNKNOWN, "the controller does not tell its clock", "the account may need Describe on the cluster"
    return State.OK, f"this machine's and the controller's differ by less than {TOLERANCE_S:g} s", ""


async def worker_clocks(kafka: Inspected) -> Findings:
    """Each event holds its worker's clock, and then gets the broker's stamp. A clock that is behind cannot be told
    from a slow commit."""
    places = await _newest(kafka)
    if not places:
        return State.OK, "no worker has written anything that would show its clock", ""
    ahead: dict[str, float] = {}
    async for record in _records(Clients(kafka.settings), places):
        stage = WRITTEN_BY_CLOCK[record.topic]
        for moment_s in _clock_of(record.headers):
            ahead[stage] = max(ahead.get(stage, 0.0), moment_s - record.timestamp / 1_000)
    if wrong := [f"{stage} by {by_s:.1f} s" for stage, by_s in ahead.items() if by_s > TOLERANCE_S]:
        found = f"clocks of workers are ahead of the brokers': {', '.join(wrong)}"
        return State.WARNING, found, f"auctions are void before their deadline; {REMEDY}"
    return (
        State.OK,
        f"the newest events of {' and '.join(ahead) or 'no stage'} are not ahead of the brokers' stamps",
        "",
    )


async def _stamped_later_than_now(kafka: Inspected) -> list[str]:
    later_ms = int((time.time() + TOLERANCE_S) * 1_000)
    found: list[str] = []
    for name, partitions in kafka.present.items():
        if kafka.configs[name][TYPE] == BY_BROKER:
            at = await kafka.cluster.retry(partial(kafka.cluster.offsets, name, partitions, later_ms))
            found += [name] if any(offset >= 0 for offset in at.values()) else []
    return found


async def _newest(kafka: Inspected) -> dict[TopicPartition, int]:
    """Where the newest records of each partition begin; partitions that hold none are left out."""
    places: dict[TopicPartition, int] = {}
    for name in WRITTEN_BY_CLOCK:
        partitions = kafka.present.get(name, ())
        begins, ends = [
            await kafka.cluster.retry(partial(kafka.cluster.offsets, name, partitions, edge))
            for edge in (EARLIEST, LATEST)
        ]
        places |= {
            TopicPartition(name, number): max(begins[number], end - NEWEST_OFFSETS)
            for number, end in ends.items()
            if end > begins[number]
        }
    return places


async def _records(clients: Clients, places: Mapping[TopicPartition, int]) -> Any:
    """The first that come from these offsets on; nothing is awaited for longer than a moment."""
    seen: set[TopicPartition] = set()

    async def is_seen(at: TopicPartition) -> bool:
        return at in seen

    with suppress(SilentPartitions):
        async with consumer_at(clients, places) as consumer:
            async for batches in poll(consumer, places, is_seen, SILENCE_S):
                seen |= batches.keys()
                for record in chain.from_iterable(batches.values()):
                    yield record


def _clock_of(headers: tuple[tuple[str, bytes | None], ...]) -> Iterator[float]:
    """The worker's clock, seconds since 1970, where it can be read."""
    for name, value in headers:
        if name == "ce_time" and value:
            try:
                yield read_moment(value.decode()).timestamp()
            except ValueError:
                return
