"""Checks of the topic of settled ids: whether settlement remembers what it must, and keeps it as long as it must."""

from schemas.topics import SETTLED, SETTLED_QUERIES
from workers.doctor.kafka_cluster import CREATE, Findings, Inspected, no_topics
from workers.doctor.verdict import State
from workers.errors import AccessDenied, Misplaced
from workers.pipeline import STAGES
from workers.stream.connection.clients import Clients
from workers.stream.deduplication.memory_loss import MEMORY_IS_LOST, memory_is_lost
from workers.stream.deduplication.samples import check_placement

POLICY, KEPT, SEGMENT = "cleanup.policy", "retention.ms", "segment.ms"
NAME = SETTLED_QUERIES.name
DAY_MS = 86_400_000


async def id_window(kafka: Inspected) -> Findings:
    """A topic that older releases made keeps ids for ever: that is safe, and grows. One that forgets early is not used
    wrongly either, but queries are refused for it.
    """
    if NAME not in kafka.present:
        return no_topics()
    found, needed_ms = kafka.configs[NAME], int(kafka.plans[NAME].configs[KEPT])
    policy, kept_ms = {*found[POLICY].split(",")}, int(found[KEPT])
    if "delete" not in policy or kept_ms < 0:
        said = f"{NAME} keeps every id for ever, and {_days(needed_ms)} are needed"
        return State.WARNING, f"{said}: it grows with every query", _remedy(kafka)
    if kept_ms < needed_ms:
        said = f"{NAME} forgets ids after {_days(kept_ms)}, and TESSERA_ID_WINDOW_DAYS needs {_days(needed_ms)}"
        return State.FAILED, f"{said}: queries are refused as EXPIRED before their time", _remedy(kafka)
    return State.OK, f"{NAME} keeps ids for {_days(kept_ms)}, as the window needs it", ""


def _remedy(kafka: Inspected) -> str:
    planned = kafka.plans[NAME].configs
    rest = ",".join(f"{name}={planned[name]}" for name in (KEPT, SEGMENT))
    return Clients(kafka.settings).alter_topic(NAME, POLICY, f"[{planned[POLICY]}],{rest}")


def _days(ms: int) -> str:
    return f"{ms / DAY_MS:g} days"


async def remembered_ids(kafka: Inspected) -> Findings:
    """Whether they lie in their partitions, told by the oldest: partitions that are added move later ids only."""
    if SETTLED_QUERIES.name not in kafka.present:
        return State.UNKNOWN, f"{SETTLED_QUERIES.name} is not there", CREATE
    try:
        looked_at = await check_placement(Clients(kafka.settings), SETTLED_QUERIES.name)
    except Misplaced as error:
        return State.FAILED, str(error), "settlement does not start; infra/partitions.md says what to do"
    except AccessDenied as error:
        return State.UNKNOWN, "this user may not read them", str(error)
    if SETTLED.name in kafka.present and await memory_is_lost(Clients(kafka.settings), STAGES["settlement"]):
        return State.FAILED, MEMORY_IS_LOST, "stop settlement until the topic is restored"
    return State.OK, f"the oldest {looked_at} lie in their partitions", ""
