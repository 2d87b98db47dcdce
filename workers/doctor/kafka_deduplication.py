"""Checks of what settlement remembers."""

from schemas.topics import SETTLED, SETTLED_QUERIES
from workers.doctor.kafka_cluster import CREATE, Findings, Inspected
from workers.doctor.verdict import State
from workers.errors import AccessDenied, Misplaced
from workers.pipeline import STAGES
from workers.stream.connection.clients import Clients
from workers.stream.deduplication.memory_loss import MEMORY_IS_LOST, memory_is_lost
from workers.stream.deduplication.samples import check_placement


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
