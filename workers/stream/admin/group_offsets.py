"""Where stages stand in their topics, and the decision to go on without records that are no longer stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from aiokafka.errors import IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError

from workers.errors import BrokerError
from workers.settings import Settings
from workers.stream.admin.standing import stands
from workers.stream.connection.admin_client import EARLIEST, LATEST, Cluster
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import offsets
from workers.stream.offsets import Completion


@dataclass(frozen=True)
class GroupOffset:
    """One group in one partition. `completion` is None where nobody knows it, or what is written cannot be read."""

    group: str
    topic: str
    partition: int
    committed: int  # as the group's coordinator says; -1: none
    offset: int  # where the stage goes on, by its own log as well; -1: nobody knows
    first_stored: int
    end: int
    completion: Completion | None

    @property
    def deleted_records(self) -> int:
        """How many offsets were deleted before they were worked on; some may have held no record."""
        done = frozenset() if self.completion is None else self.completion.done
        gap = max(0, self.first_stored - self.offset) if self.offset >= 0 else 0
        return gap - sum(self.offset <= offset < self.first_stored for offset in done)

    def early_at(self, base: int) -> Completion:
        """What is known to be finished beyond `base`."""
        done = frozenset() if self.completion is None else self.completion.done
        return Completion(base, frozenset(offset for offset in done if offset >= base))


async def standings(settings: Settings, groups: Mapping[str, str]) -> tuple[GroupOffset, ...]:
    """Where each group (group -> its topic) stands. BrokerError: no answer, or a topic is missing."""
    async with Clients(settings).cluster() as cluster:
        return tuple([one for group, topic in groups.items() for one in await _standings(cluster, group, topic)])


async def _standings(cluster: Cluster, group: str, topic: str) -> list[GroupOffset]:
    if topic not in await cluster.retry(cluster.partitions):
        raise BrokerError(f"topic {topic} does not exist; `tessera topics create` makes it")
    begins, ends = await offsets(cluster, topic, EARLIEST), await offsets(cluster, topic, LATEST)
    return [
        GroupOffset(group, topic, number, one.committed, one.offset, begins[number], ends[number], one.known)
        for number, one in sorted((await stands(cluster, group, topic, begins)).items())
    ]


async def accept_losses(settings: Settings, losses: Mapping[str, tuple[GroupOffset, ...]]) -> None:
    """Let each group go on at the first record that is stored; what was finished beyond it stays so.

    BrokerError: it has running workers.
    """
    async with Clients(settings).cluster() as cluster:
        for group, standing in losses.items():
            to = {one.partition: one.early_at(one.first_stored) for one in standing}
            try:
                await cluster.retry(partial(cluster.commit, group, standing[0].topic, to))
            except (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError):
                raise BrokerError(f"group {group} has running workers: stop them first") from None
