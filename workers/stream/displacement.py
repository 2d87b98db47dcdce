"""Two processes with one instance name: exactly one of them goes on, the one that began first.

Kafka gives the place in a group to whoever joined last, and the one before it learns that it is no member any more.
Each process says with its subscription when it began. Whoever has lost its place asks the group who has it now: behind
an earlier process it ends, and never joins again; a later one, or nobody, it displaces. The order is the same for all
stages of a process and has no ties, so that the earliest of all is never ended, and each other one is as soon as it
asks. That takes two heartbeats, and a rebalance where one is under way.
"""

import logging
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from workers.errors import AccessDenied, BrokerError, Unsuitable
from workers.stream.connection.clients import Clients
from workers.stream.connection.static_members import Holder, holder
from workers.stream.operator_lines import HOLDER_UNKNOWN

log = logging.getLogger(__name__)

MARK = re.compile(rb"began (\d{19}) [0-9a-f]{16}")  # nanoseconds since 1970, by the clock of the process
NANOSECONDS = 1_000_000_000
ASKING_S = 10.0  # a rebalance that is under way, which the answer waits for, takes up to a session more


@dataclass(frozen=True, slots=True)
class Claim:
    """A process's claim to its instance name, the same in all its stages: earlier marks are smaller."""

    instance: str
    mark: bytes

    @classmethod
    def of_process(cls, instance: str) -> "Claim":
        """The claim of a process that begins now."""
        return cls(instance, f"began {time.time_ns():019d} {secrets.token_hex(8)}".encode())

    def check(self, holder: Holder | None) -> None:
        """Unsuitable: the place belongs to an earlier process. `holder`: who has it now, perhaps this very process.

        One that does not say when it began is of an earlier release, or no worker: it keeps the place.
        """
        if holder is None:
            return
        known = MARK.fullmatch(holder.said)
        if known is None or holder.said < self.mark:
            raise Unsuitable(
                f"another process runs the same stage as {self.instance!r} (TESSERA_INSTANCE, --instance): it is at "
                f"{holder.host.lstrip('/')}, began {_moment(known)} and keeps the place; this one ends, and nothing "
                "is lost. Give every replica a name of its own, such as its ordinal, or none"
            )


class StaticMembership:
    """One stage's place in its group, as the static member that its process claims to be."""

    def __init__(self, clients: Clients, claim: Claim, stage: str, group: str, session_s: float) -> None:
        self.instance_id = f"{stage}-{claim.instance}" if claim.instance else None  # None: no static member
        self.mark = claim.mark
        self._clients, self._claim, self._group, self._session_s = clients, claim, group, session_s
        self._was_claimed = False  # the group has known this process

    def claimed(self) -> None:
        """The group gave this process partitions, or gave its place to another process while it joined."""
        self._was_claimed = True

    async def check(self, member_id: str) -> None:
        """Before joining. Unsuitable: the place was lost to an earlier process, which must not lose it in turn.

        Where Kafka cannot be asked this process joins, and asks after the next loss.
        """
        if self.instance_id is None or not self._was_claimed or member_id:
            return
        try:
            found = await self._holder(self.instance_id)
        except (BrokerError, AccessDenied) as error:
            HOLDER_UNKNOWN.tell(log, group=self._group, instance=self.instance_id, error=error)
            return
        self._claim.check(found)

    async def _holder(self, instance_id: str) -> Holder | None:
        async with self._clients.cluster(ASKING_S + self._session_s) as cluster:
            return await cluster.retry(lambda: holder(cluster, self._group, instance_id))


def _moment(known: re.Match[bytes] | None) -> str:
    if known is None:
        return "earlier"
    began = datetime.fromtimestamp(int(known[1]) / NANOSECONDS, UTC)
    return f"at {began:%Y-%m-%dT%H:%M:%SZ}, earlier,"
