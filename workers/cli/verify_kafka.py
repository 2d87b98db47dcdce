"""One look at a cluster for `tessera verify`: positions first, then every committed record, then what was aborted."""

from collections import Counter
from contextlib import aclosing, closing
from dataclasses import dataclass

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
from workers.cli.witness import reading_bar
from workers.pipeline import PATH, STAGES
from workers.settings import Settings
from workers.stream.admin import positions

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


@dataclass(frozen=True)
class Evidence:
    """What a campaign wrote down."""

    plan: CampaignPlan | None = None
    witness: Witness | None = None


async def verify_kafka(settings: Settings, report: Report, look: Look, evidence: Evidence) -> int:
    """Check everything that needs Kafka; how many records were read. BrokerError: it cannot be read."""
    with positions.named(settings):
        await _check_lag(settings, report, look)
        horizon = await _horizon(settings, look)
        last = await positions.ends(settings, NAMES)
        verification = Verification(report, horizon, secrets_of(settings), evidence.plan, evidence.witness)
        with closing(verification):
            records, committed = await _read(settings, verification, last)
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


def _stored_ms(topic: Topic) -> int:
    """So long every record is certainly kept; a day is for clocks and for auctions that took long."""
    return _milliseconds(topic.retention.total_seconds() - DAY_S)


def _milliseconds(seconds: float) -> int:
    return int(seconds * MILLISECONDS)


async def _read(settings: Settings, verification: Verification, last: positions.Positions) -> tuple[int, Counter[str]]:
    """Every committed record into the verification; how many there were, and by topic those before `last`."""
    counts, records = Counter[str](), 0
    with reading_bar("records") as advance:
        async with aclosing(bus_of(settings).stored(NAMES)) as stored:
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
