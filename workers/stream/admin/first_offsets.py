"""The first offset of each consumer group in each partition: a stage never guesses where to begin."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from aiokafka.errors import (
    IllegalGenerationError,
    NotCoordinatorForGroupError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from schemas.topics import MAY_GROW
from workers.errors import BrokerError, OffsetsUndecided
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stage import StageSpec
from workers.stream.admin.outcomes import outputs_of, reached
from workers.stream.admin.standing import offsets_of
from workers.stream.connection.admin_client import EARLIEST, LATEST, Cluster
from workers.stream.connection.clients import Clients
from workers.stream.connection.edges import offsets
from workers.stream.deduplication.memory_loss import MEMORY_IS_LOST, memory_is_lost
from workers.stream.offsets import Completion
from workers.stream.partition.added_partitions import is_added

#: Where a stage is to go on that has worked before, and whose committed offsets are gone.
Begin: TypeAlias = Literal["after-last-settled", "earliest", "latest"]

ADVICE = """\
Kafka forgets the offsets of a group that nobody was in for offsets.retention.minutes, and a restored cluster has none.
Say where these stages go on; no choice bills a query twice, as settlement publishes nothing again that it remembers:
  --begin after-last-settled  behind the last record whose outcome stands in the outputs. Reads all of them. What
                              retention has deleted of the outputs cannot be seen: such records are worked on again
  --begin earliest            everything that is stored once more. Generation and scoring compute it all again; what was
                              refused becomes a dead letter again, and so do queries older than settlement remembers
  --begin latest              only what comes from now on. What waits gets neither a reply nor a dead letter"""


@dataclass(frozen=True)
class FirstOffsets:
    """What `initialise_offsets` did for one group: partitions that got an offset, and those that had one."""

    group: str
    topic: str
    partitions_written: int
    partitions_kept: int


@dataclass(frozen=True)
class Blank:
    """The partitions of a topic where nobody knows how far a group came: where each begins. `ends` are those of all.

    `untouched` are those in which it cannot have worked on anything that is stored. `outputs`: records that its stage
    has published, markers of transactions included.
    """

    group: str
    topic: str
    begins: Mapping[int, int]
    ends: Mapping[int, int]
    untouched: frozenset[int]
    outputs: int

    @property
    def undecided(self) -> dict[int, int]:
        """Where somebody must say where to go on: number -> first stored offset."""
        return {number: begin for number, begin in self.begins.items() if number not in self.untouched}

    def said(self) -> Iterable[str]:
        """What is seen of each undecided partition."""
        for number in self.undecided:
            yield (
                f"  group {self.group}, {self.topic} partition {number}: committed: none; input begins at "
                f"{self.begins[number]}, ends at {self.ends[number]}; outputs hold {self.outputs} records"
            )


async def initialise_offsets(
    settings: Settings, groups: Mapping[str, str], begin: Begin | None = None
) -> tuple[FirstOffsets, ...]:
    """Give each group (group -> its topic) a first offset in every partition of which nobody knows where it stands, and
    read it back. Where only its stage's own log knows, the stage commits that when it starts.

    It is the start of the partition where nothing is stored, or the group's stage has never published anything; else
    what `begin` says. One that exists is never moved. OffsetsUndecided: `begin` is needed and not given; the others
    are set; or the memory of what is settled is gone. BrokerError: no broker answers, the topic is missing, or the
    group has running workers.
    """
    clients = Clients(settings)
    async with clients.cluster() as cluster:
        blanks = [await _blank(cluster, group, topic) for group, topic in groups.items()]
    lost = [spec for group in groups if (spec := _spec_of(group)) and await memory_is_lost(clients, spec)]
    if begin != "latest" and lost and any(blank.undecided for blank in blanks):
        raise OffsetsUndecided("\n".join([MEMORY_IS_LOST, *(line for blank in blanks for line in blank.said())]))
    targets = [await _targets(clients, blank, begin) for blank in blanks]
    async with clients.cluster() as cluster:
        for blank, completions in zip(blanks, targets, strict=True):
            await cluster.retry(_committing(cluster, blank.group, blank.topic, completions))
        for spec in lost if begin == "latest" else ():
            await _accept_loss(cluster, spec)
    if begin is None:
        _refuse_undecided(blanks)
    return tuple(
        FirstOffsets(blank.group, blank.topic, len(blank.begins), len(blank.ends) - len(blank.begins))
        for blank in blanks
    )


async def _blank(cluster: Cluster, group: str, topic: str) -> Blank:
    if topic not in (topics := await cluster.retry(cluster.partitions)):
        raise BrokerError(f"topic {topic} does not exist; `tessera topics create` makes it")
    starts, ends = [await offsets(cluster, topic, edge) for edge in (EARLIEST, LATEST)]
    committed = await offsets_of(cluster, group, topic, starts)
    outputs = [name for name in outputs_of(spec) if name in topics] if (spec := _spec_of(group)) else []
    written = sum([sum((await offsets(cluster, name, LATEST)).values()) for name in outputs])
    missing = without_offset(committed)
    untouched = {
        number
        for number in missing
        if not written
        or starts[number] == ends[number]
        or (topic in MAY_GROW and starts[number] == 0 and is_added(number, committed))
    }
    return Blank(
        group,
        topic,
        {number: starts[number] for number in sorted(missing)},
        ends,
        frozenset(untouched),
        written,
    )


def _spec_of(group: str) -> StageSpec | None:
    return next((spec for spec in STAGES.values() if spec.group == group), None)


async def _targets(clients: Clients, blank: Blank, begin: Begin | None) -> dict[int, Completion]:
    """Where the group is to begin in each partition for which that is known."""
    found = {number: Completion(blank.begins[number]) for number in blank.untouched}
    undecided = blank.undecided
    if begin == "earliest":
        found |= {number: Completion(offset) for number, offset in undecided.items()}
    elif begin == "latest":
        found |= {number: Completion(blank.ends[number]) for number in undecided}
    elif begin is not None and undecided and (spec := _spec_of(blank.group)):
        found |= await reached(clients, spec, undecided)
    return found


def _refuse_undecided(blanks: Sequence[Blank]) -> None:
    if lines := [line for blank in blanks for line in blank.said()]:
        said = f"{len(lines)} partitions have no committed offset, although their stages have worked before"
        raise OffsetsUndecided("\n".join([f"{said}; none is set there:", *lines, ADVICE]))


async def _accept_loss(cluster: Cluster, spec: StageSpec) -> None:
    """Write down that the stage may begin with an empty memory; see `memory_is_lost`."""
    memory = spec.remembers.name if spec.remembers else ""
    begun = dict.fromkeys(await offsets(cluster, memory, EARLIEST), Completion(0))
    await cluster.retry(_committing(cluster, spec.group, memory, begun))


def _committing(
    cluster: Cluster, group: str, topic: str, completions: Mapping[int, Completion]
) -> Callable[[], Awaitable[None]]:
    """An attempt to commit where nothing is committed; it raises a retriable error until all are there."""

    async def attempt() -> None:
        missing = without_offset(await cluster.committed(group, topic, completions)) if completions else {}
        if not missing:
            return
        try:
            await cluster.commit(group, topic, {number: completions[number] for number in missing})
        except (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError):
            raise BrokerError(f"group {group} has running workers: stop them, then set its first offsets") from None
        if still := without_offset(await cluster.committed(group, topic, completions)):
            where = f"partitions {sorted(still)} of {topic}"
            raise NotCoordinatorForGroupError(f"group {group}: no offset yet in {where}")

    return attempt


def without_offset(committed: Mapping[int, int]) -> set[int]:
    """The partitions where nothing is committed."""
    return {number for number, offset in committed.items() if offset < 0}
