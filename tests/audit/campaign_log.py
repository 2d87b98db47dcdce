"""A whole log as the stages write it, poison included, and edits of it: one lie each."""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from schemas.auction import CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.record import Outgoing, Record
from schemas.reply import ReplySettled
from schemas.topics import CHARGED, QUERIES, SCORED, SETTLED
from tests.audit.logs import Log
from workers.audit.log.auction_ids import NAMES
from workers.audit.log.horizon import Horizon
from workers.audit.log.invariants import InvariantRow, InvariantState, Report
from workers.audit.log.plan import CampaignPlan, read_plan
from workers.audit.log.verifier import Verification
from workers.audit.log.witness import Witness, read_witness, witness_line
from workers.engines.null import NullEngine
from workers.operations.monitor import Monitor
from workers.pipeline import PATH, Means, build_stages, now
from workers.settings import DEMO_DRAW_KEY, Settings
from workers.stream.commitments import open_key_ring
from workers.stream.memory import MemoryBus

SECRET = DEMO_DRAW_KEY.get_secret_value().encode()
ADVERTISERS = [
    {"advertiser_id": name, "name": name, "description": "selling things", "value_micros_per_nat": 1_000}
    for name in ("alpha", "beta")
]
PASSED = "2020-01-01T00:00:00Z"
GOOD = 6
WAIT_S = 30.0

#: A query: key, value, what becomes of it.
Asked = tuple[bytes | None, bytes, str]


def query(query_id: str | None, **fields: object) -> bytes:
    named = {} if query_id is None else {"query_id": query_id}
    body = {**named, "text": f"How do I do {query_id}?", "advertising_consent": True, "advertisers": ADVERTISERS}
    return json.dumps({**body, "parameters": {"candidates": 4, "max_tokens": 20}, **fields}).encode()


def asked(run: str = "q") -> list[Asked]:
    """Good queries, two without key or consent, one id twice, and poison of four kinds."""
    good = [(f"{run}{n}".encode(), query(f"{run}{n}"), "settled") for n in range(GOOD)]
    others = [(None, query(None), "settled"), (None, query(f"{run}-free", advertising_consent=False), "settled")]
    poison = [
        (f"{run}-bad".encode(), b"not JSON", "BAD_JSON"),
        (f"{run}-wrong".encode(), query(f"{run}-wrong", txet=1), "BAD_SCHEMA"),
        (f"{run}-late".encode(), query(f"{run}-late", deadline=PASSED), "EXPIRED"),
        (b"\xff", query(f"{run}-key"), "BAD_KEY"),
    ]
    twice = (good[0][0], good[0][1], "DUPLICATE_QUERY")
    return [*good[:3], *poison, *good[3:], *others, twice]  # type: ignore[list-item]


def plan_lines(queries: Sequence[Asked]) -> list[bytes]:
    return [
        json.dumps({"value_sha256": sha256(value).hexdigest(), "query_id": "x", "expect": outcome}).encode() + b"\n"
        for _, value, outcome in queries
    ]


async def run_pipeline(queries: Sequence[Asked]) -> list[Record]:
    """Every record that the stages leave behind, in the order in which a verification reads them."""
    settings = Settings.read(draw_key=SECRET.decode(), engine="null")
    bus = MemoryBus(Monitor(stages=PATH, currency="USD", engine="null"))
    keys, stop = await open_key_ring(bus, [SECRET], now), asyncio.Event()
    await bus.publish([Outgoing(QUERIES.name, key, value) for key, value, _ in queries])
    done = asyncio.create_task(bus.run(build_stages(PATH, Means(settings, NullEngine(), keys)), stop))
    async with asyncio.timeout(WAIT_S):
        while len(ends(records := [record async for record in bus.stored(NAMES)])) < len(queries):
            assert not done.done()
            await asyncio.sleep(0.02)
    stop.set()
    await done
    return records


def ends(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if record.topic == SETTLED.name or record.topic.endswith(".dlq")]


def verified(
    records: Iterable[Record],
    *,
    plan: Sequence[Asked] | None = None,
    witness: Sequence[Record] | None = None,
    **horizon: Any,
) -> Report:
    """The report on these records. Without a word on offsets everything was read by its stage."""
    report, records = Report(), list(records)
    read = {(topic, 0): 1_000_000 for topic in NAMES}
    verification = Verification(
        report,
        Horizon(**({"committed": read, "complete": True} | horizon)),
        [SECRET],
        None if plan is None else a_plan(plan),
        None if witness is None else a_witness(witness),
    )
    for record in records:
        verification.add(record)
    verification.finish()
    verification.close()
    return report


def a_plan(queries: Sequence[Asked]) -> CampaignPlan:
    return read_plan(plan_lines(queries), "plan")


def a_witness(records: Sequence[Record]) -> Witness:
    return read_witness([witness_line(record) for record in records], "witness")


def broken(report: Report) -> list[int]:
    return [int(row.invariant) for row in report.rows() if row.state is InvariantState.BROKEN]


def row(report: Report, number: int) -> InvariantRow:
    return next(row for row in report.rows() if row.invariant == number)


def of(records: Sequence[Record], topic: str) -> list[Record]:
    return [record for record in records if record.topic == topic]


def without(records: Sequence[Record], *lost: Record) -> list[Record]:
    return [record for record in records if record not in lost]


def appended(records: Sequence[Record], *copies: Record) -> list[Record]:
    """Copies at the end of their topics."""
    found = list(records)
    for copy in copies:
        last = max(record.offset for record in found if record.topic == copy.topic)
        found.append(replace(copy, offset=last + 1, timestamp_ms=found[-1].timestamp_ms))
    return found


def edited(records: Sequence[Record], target: Record, **changes: Any) -> list[Record]:
    return [replace(record, **changes) if record is target else record for record in records]


def retold(records: Sequence[Record], query_id: str, change: Callable[[Log], Log]) -> list[Record]:
    """The first auction of a query as an operator who cheats would have logged it, digests and all."""
    scored = next(record for record in of(records, SCORED.name) if record.key == query_id.encode())
    reply = next(record for record in of(records, SETTLED.name) if record.key == query_id.encode())
    settled = ReplySettled.decode(reply.value)
    charges = [record for record in of(records, CHARGED.name) if _charge(record).charge_id in settled.charge_ids]
    log = change(Log(CandidatesScored.decode(scored.value), settled, tuple(map(_charge, charges)), ()))
    new = {id(reply): log.reply, **{id(record): bill for record, bill in zip(charges, log.bills, strict=False)}}
    kept = [record for record in records if record not in charges[len(log.bills) :]]
    return [replace(one, value=new[id(one)].encode()) if id(one) in new else one for one in kept]


def _charge(record: Record) -> AdvertiserCharged:
    return AdvertiserCharged.decode(record.value)
