"""What the checks look at, and the words that they share."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from workers.doctor.verdict import State
from workers.settings import Settings
from workers.stream.connection.admin_client import Cluster, Partition, TopicPlan

CREATE = "`tessera topics create` makes them"
SAFE_INSYNC = 2


@dataclass(frozen=True)
class Inspected:
    """A connection, and what was read first. `configs`: of the planned topics that exist."""

    settings: Settings
    cluster: Cluster
    plans: Mapping[str, TopicPlan]
    brokers: tuple[int, ...]
    topics: Mapping[str, tuple[Partition, ...]]
    configs: Mapping[str, Mapping[str, str]]

    @property
    def present(self) -> dict[str, tuple[Partition, ...]]:
        """The planned topics that exist."""
        return {name: self.topics[name] for name in self.plans if name in self.topics}


#: State, what is there, what to do.
Findings = tuple[State, str, str]
Check = Callable[[Inspected], Awaitable[Findings]]


def no_topics() -> Findings:
    """Of a check that has nothing to look at."""
    return State.UNKNOWN, "none of the topics is there", CREATE


def few(names: Iterable[str], limit: int = 4) -> str:
    """The first of them, and how many more there are."""
    names = list(names)
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
