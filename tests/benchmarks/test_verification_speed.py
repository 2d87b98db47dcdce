"""How fast a log is verified, beside the audit within, and what its memory grows with."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from time import process_time

from schemas.auction import CandidatesGenerated, CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.draw import QueryRecord
from schemas.envelope import Event
from schemas.identity import derive
from schemas.record import Record
from schemas.reply import ReplySettled
from schemas.topics import CHARGED, GENERATED, QUERIES, SCORED, SETTLED
from tests.benchmarks.auctions import CANDIDATES, scored_auctions
from tests.benchmarks.report import Scale, print_profile
from tests.benchmarks.test_demo_memory import MEBIBYTE
from tests.support.builders import DRAW_KEY, SUBMITTED_AT, make_generated, make_record, settle
from workers.audit.auditor import Audit
from workers.audit.completeness import Completeness
from workers.audit.entries import NAMES, read_record
from workers.audit.log.auction_ids import NAMES as READ
from workers.audit.log.horizon import Horizon
from workers.audit.log.invariants import Report
from workers.audit.log.outcomes import QueryOutcomes
from workers.audit.log.verifier import Verification
from workers.draw_keys import commitment
from workers.mechanism.epochs import epoch_key

DISTINCT = 200
PARTITIONS = 4
LEAST_PER_SECOND = 1_000  # without the audit
MOST_MEBIBYTES = 400
READ_TO_THE_END = Horizon(committed={(topic, number): 2**60 for topic in READ for number in range(PARTITIONS)})


def placed(number: int, topic: str, key: str, value: bytes) -> Record:
    """Record `number` of its topic, spread over the partitions."""
    return Record(topic, key.encode(), value, (), number % PARTITIONS, number // PARTITIONS, 1_795_435_200_250 + number)


def origin_of(number: int) -> tuple[str, str, str]:
    """Where query `number` lies."""
    return QUERIES.name, str(number % PARTITIONS), str(number // PARTITIONS)


def named(number: int) -> tuple[str, str]:
    """Query id and auction id of query `number`."""
    query_id = f"query-{number}"
    return query_id, derive("auction", *origin_of(number), query_id)


def records_of(number: int, event: Event[CandidatesScored]) -> Iterator[Record]:
    """What the stages leave behind of one auction with these candidates."""
    query_id, auction_id = named(number)
    bidders = [one.model_dump(mode="json") for one in event.data.advertisers]
    asked = {**event.data.question.model_dump(), "advertising_consent": True, "advertisers": bidders}
    query = json.dumps({"query_id": query_id, **asked}).encode()
    record = QueryRecord(origin=origin_of(number), sha256=sha256(query).hexdigest())
    own = {"query_id": query_id, "auction_id": auction_id, "query_record": record}
    fields = {name: getattr(event.data, name) for name in CandidatesGenerated.model_fields}
    generated = CandidatesGenerated(**(fields | own)).encode()
    data = event.data.model_copy(update={**own, "generated_sha256": sha256(generated).hexdigest()})
    scored = replace(event, data=data, value=data.encode(), subject=query_id, correlation_id=query_id)
    yield placed(number, QUERIES.name, query_id, query)
    yield placed(number, GENERATED.name, query_id, generated)
    yield placed(number, SCORED.name, query_id, scored.value)
    reply, *bills = settle(scored)
    yield placed(number, SETTLED.name, query_id, reply.value)
    for place, bill in enumerate(bills):
        yield placed(len(bills) * number + place, CHARGED.name, bill.subject, bill.value)


async def log_of(auctions: int) -> list[Record]:
    distinct = await scored_auctions(min(DISTINCT, auctions))
    epochs = sorted({event.data.draw_epoch for event in distinct}, key=str)
    keys = [make_record(commitment(epoch_key(DRAW_KEY, epoch), SUBMITTED_AT), timestamp_ms=0) for epoch in epochs]
    return [*keys, *(one for n in range(auctions) for one in records_of(n, distinct[n % len(distinct)]))]


def verify(records: list[Record]) -> Report:
    found = Report()
    verification = Verification(found, READ_TO_THE_END, [DRAW_KEY])
    for record in records:
        verification.add(record)
    verification.finish()
    return found


def audit(records: list[Record]) -> None:
    auditor = Audit(lambda finding: None, [DRAW_KEY], Completeness(0, 2**62))
    for record in records:
        if record.topic in NAMES and (entry := read_record(record)) is not None:
            auditor.add(entry)
    auditor.finish()


def seconds(work: object, records: list[Record]) -> float:
    """CPU seconds of the best of three."""
    took = []
    for _ in range(3):
        began = process_time()
        work(records)  # type: ignore[operator]
        took.append(process_time() - began)
    return min(took)


async def test_auctions_per_second(scale: Scale) -> None:
    timed = scale(2_000, 20)
    records = await log_of(timed)
    assert not verify(records).is_broken

    whole, audited = seconds(verify, records), seconds(audit, records)

    print_profile(lambda: verify(records))
    rest = timed / (whole - audited)
    row = {"M": CANDIDATES, "N": 2, "auctions/s per core": timed / whole, "without the audit": rest}
    scale.report("verification-speed", [row])
    if scale.is_full:
        assert rest >= LEAST_PER_SECOND


MEMORY = """
import sys
import psutil
from tests.benchmarks.test_verification_speed import ends_of
before = psutil.Process().memory_info().rss
ends = ends_of(int(sys.argv[1]))
print(before, psutil.Process().memory_info().rss)
"""


def ends_of(auctions: int) -> QueryOutcomes:
    """So many auctions with two charges each, to their end; without the audit, whose memory does not grow."""
    found = Report()
    ends, any_event = QueryOutcomes(found, READ_TO_THE_END), make_generated(candidates=1)
    for number in range(auctions):
        query_id, auction_id = named(number)
        event = any_event.value.replace(any_event.data.auction_id.encode(), auction_id.encode())
        ends.query(placed(number, QUERIES.name, query_id, b"{}"))
        ends.generated(placed(number, GENERATED.name, query_id, event))
        ends.scored(placed(number, SCORED.name, query_id, event), None)
        ids = tuple(derive("charge", auction_id, str(place)) for place in range(2))
        reply = ReplySettled.model_construct(
            query_id=query_id, auction_id=auction_id, charge_ids=ids, total_charge_micros=2, currency="USD"
        )
        ends.settled(placed(number, SETTLED.name, query_id, b""), reply)
        for place, id_ in enumerate(ids):
            bill = AdvertiserCharged.model_construct(
                query_id=query_id, auction_id=auction_id, charge_id=id_, charge_micros=1, currency="USD"
            )
            ends.charged(placed(2 * number + place, CHARGED.name, "a", b""), bill)
    ends.finish()
    assert not found.is_broken, list(found.rows())
    return ends


def test_memory(scale: Scale) -> None:
    rows = []
    for auctions in scale((20_000, 200_000), (20, 200)):
        before, after = memory_of(auctions)
        rows.append({"auctions": auctions, "MiB": after / MEBIBYTE, "bytes per auction": (after - before) / auctions})
    scale.report("verification-memory", rows)
    assert float(str(rows[-1]["MiB"])) < MOST_MEBIBYTES


def memory_of(auctions: int) -> tuple[int, int]:
    """Resident bytes of a process of its own, before and after."""
    command = [sys.executable, "-c", MEMORY, str(auctions)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    before, after = map(int, done.stdout.split())
    return before, after
