"""How far this machine's clock is from the brokers': deadlines, and the day of a draw's key, follow both."""

import logging
import time
from collections.abc import Iterable
from typing import Any

from aiokafka.errors import ClusterAuthorizationFailedError, IncompatibleBrokerVersion, for_code

from workers.stream.connection.admin_client import Cluster
from workers.stream.connection.quorum import QuorumRequest, controller_time_ms
from workers.stream.operator_lines import CLOCK_IS_WRONG

log = logging.getLogger(__name__)

LOG_APPEND_TIME = 1  # timestamp_type of a record that the broker stamps; 0, CreateTime, where its producer does
TOLERANCE_S = 5.0  # of what a process says of its own clock
REMEDY = "set the clocks of workers and brokers by NTP: deadlines and the day of a draw's key follow them"


def ahead_s(asked_s: float, shown_ms: int, answered_s: float) -> float:
    """How far our clock is ahead, at least, of one that showed `shown_ms` between two moments of ours.

    Negative where it is behind; 0 where both may agree. Moments in seconds since 1970.
    """
    shown_s = shown_ms / 1_000
    return max(0.0, asked_s - shown_s) + min(0.0, answered_s - shown_s)


async def ahead_of_controller_s(cluster: Cluster) -> float | None:
    """How far our clock is ahead of the active controller's. None: it does not tell, or not to this user, who may
    need Describe on the cluster."""

    async def attempt() -> tuple[float, Any, float]:
        asked_s = time.time()
        answer = await cluster.ask_controller(QuorumRequest())
        if answer.error_code:
            raise for_code(answer.error_code)("metadata quorum")
        return asked_s, answer, time.time()

    try:
        asked_s, answer, answered_s = await cluster.retry(attempt)
    except (ClusterAuthorizationFailedError, IncompatibleBrokerVersion):
        return None
    shown_ms = controller_time_ms(answer)
    return None if shown_ms is None else ahead_s(asked_s, shown_ms, answered_s)


def said(ahead_s: float) -> str:
    """As a sentence."""
    side = "ahead of" if ahead_s > 0 else "behind"
    return f"this machine's clock is {abs(ahead_s):.1f} s {side} the brokers'"


_told: set[str] = set()


def compare(asked_s: float, answers: Iterable[Any]) -> None:
    """Log once for this process that its clock is wrong, if the stamps in answers to records sent after `asked_s` show
    it: no right is needed for that, unlike for the controller's clock."""
    answered_s = time.time()
    stamps = [answer.timestamp for answer in answers if getattr(answer, "timestamp_type", None) == LOG_APPEND_TIME]
    wrong = [ahead for stamp in stamps if abs(ahead := ahead_s(asked_s, stamp, answered_s)) > TOLERANCE_S]
    if wrong and not _told:
        _told.add(said(wrong[0]))
        CLOCK_IS_WRONG.tell(log, said=said(wrong[0]))
