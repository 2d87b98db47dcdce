"""Whether the topic of settled ids is kept as long as the window needs it, and no longer."""

from schemas.topics import SETTLED_QUERIES
from workers.doctor.kafka_cluster import Findings, Inspected, no_topics
from workers.doctor.verdict import State
from workers.stream.connection.clients import Clients

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
