"""One look at a cluster for `tessera verify`: positions first, then every committed record, then what was aborted."""

from collections import Counter
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from datetime import datetime

from schemas.topics import GENERATED, QUERIES, SETTLED, Topic
from workers.app.bus import bus_of
from workers.audit.log.auction_ids import NAMES
from workers.audit.log.campaign_faults import check_aborts, check_unread
from workers.audit.log.horizon import NOTHING_IN_FLIGHT, Horizon
from workers.audit.log.invariants import Invariant, Report
from workers.audit.log.plan import CampaignPlan
from workers.audit.log.verifier import Verification
from workers.audit.log.witness import Witness
from workers.cli.audit import secrets_of
from workers.cli.period import WHOLE, StoredInPeriod
from workers.cli.witness import reading_bar
from workers.pipeline import PATH, STAGES
from workers.receipts.statement import Period
from workers.settings import Settings
from workers.stream.admin import positions
from workers.stream.bus import Offsets
from workers.stream.connection.clients import Clients
from workers.stream.period import begins_at

MILLISECONDS = 1_000
DAY_S = 24 * 60 * 60
GROUPS = {STAGES[name].group: STAGES[name].consumes.name for name in PATH}  # of the stages that a query passes


@dataclass(frozen=True)
class Look:
    """What is asked. `began`: seconds since 1970; `healed_within_s` None: a lag is no finding."""

    began: float
    complete: bool
    grace_s: float
    expect_aborts: bool
    healed_within_s: float | None
    limits: Period = field(default_factory=Period)


@dataclass(frozen=True)
class Evidence:
    """What a campaign wrote down."""

    plan: CampaignPlan | None = None
    witness: Witness | None = None


async def verify_kafka(settings: Settings, report: Report, look: Look, evidence: Evidence) -> int:
    """Check everything that needs Kafka; how many records were read. BrokerError: it cannot be read."""
    with positions.named(settings):
        await _check_lag(settings, report, look)
        stored = StoredInPeriod(bus_of(settings), look.limits)
        horizon = limited(await _horizon(settings, look), look.limits, await _first_of(settings, stored.read.begin))
        last = await positions.ends(settings, NAMES)
        verification = Verification(report, horizon, secrets_of(settings), evidence.plan, evidence.witness)
        with closing(verification):
            records, committed = await _read(stored, verification, last)
            verification.finish()
        await _check_aborts(settings, report, look, committed, horizon, last)
    return records


async def _check_lag(settings: Settings, report: Report, look: Look) -> None:
    if look.healed_within_s is None:
        why = "stages at work are always a little behind (--healed-within and --complete check the lag)"
        report.not_checked(Invariant.HEALED, why)
        return
    unread = await positions.unread(settings, GROUPS, look.healed_within_s)
    check_unread(report, list(GROUPS), unread, look.healed_within_s)


async def _horizon(settings: Settings, look: Look) -> Horizon:
    """Offsets of groups are asked for before the topics' ends are: what was read by then has its outputs there."""
    committed = await positions.committed(settings, GROUPS)
    began_ms = int(look.began * MILLISECONDS)
    return Horizon(
        begins=await positions.begins(settings, NAMES),
        committed=committed,
        settled_from_ms=began_ms - _milliseconds(SETTLED.retention.total_seconds()),
        queried_from_ms=began_ms - _stored_ms(QUERIES),
        generated_from_ms=began_ms - _stored_ms(GENERATED),
        in_flight_from_ms=NOTHING_IN_FLIGHT if look.complete else began_ms - _milliseconds(look.grace_s),
        complete=look.complete,
    )


def limited(horizon: Horizon, limits: Period, first: Offsets) -> Horizon:
    """The horizon of a period: what began before counts as deleted, and what is newer as under way.

    `first`: offsets by (topic, partition) from which records are read, of the topics that are not read whole.
    """
    if limits.begin is not None:
        begin_ms = _milliseconds(limits.begin.timestamp())
        names = ("settled_from_ms", "queried_from_ms", "generated_from_ms")
        later = {name: max(getattr(horizon, name), begin_ms) for name in names}
        begins = {at: max(offset, first.get(at, 0)) for at, offset in horizon.begins.items()}
        horizon = replace(horizon, begins=begins, **later)
    if limits.end is not None:
        end_ms = min(horizon.in_flight_from_ms, _milliseconds(limits.end.timestamp()))
        horizon = replace(horizon, in_flight_from_ms=end_ms)
    return horizon


async def _first_of(settings: Settings, begin: datetime | None) -> Offsets:
    names = [name for name in NAMES if name not in WHOLE]
    return await begins_at(Clients(settings), names, begin) if begin else {}


def _stored_ms(topic: Topic) -> int:
    """So long every record is certainly kept; a day is for clocks and for auctions that took long."""
    return _milliseconds(topic.retention.total_seconds() - DAY_S)


def _milliseconds(seconds: float) -> int:
    return int(seconds * MILLISECONDS)


async def _read(
    source: StoredInPeriod, verification: Verification, last: positions.Positions
) -> tuple[int, Counter[str]]:
    """Every committed record into the verification; how many there were, and by topic those before `last`."""
    counts, records = Counter[str](), 0
    with reading_bar("records") as advance:
        async with aclosing(source.stored(NAMES)) as stored:
            async for record in stored:
                verification.add(record)
                records += 1
                counts[record.topic] += record.offset < last[record.topic, record.partition]
                advance()
    return records, counts


async def _check_aborts(
    settings: Settings,
    report: Report,
    look: Look,
    committed: Counter[str],
    horizon: Horizon,
    last: positions.Positions,
) -> None:
    if look.expect_aborts:
        first = {at: horizon.begins[at] for at in last}
        check_aborts(report, committed, await positions.count_uncommitted(settings, first, last))
    else:
        report.not_checked(Invariant.ABORTS_SEEN, "nobody expects any (--expect-aborts reads everything once more)")
