"""Records with one copy on a cluster that could keep three: whoever makes the topics is told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from workers.errors import BrokerError
from workers.settings import Settings
from workers.stream.admin.plans import planned_topics
from workers.stream.admin.replication import are_too_few, copies_warning
from workers.stream.connection.admin_client import Partition
from workers.stream.connection.clients import Clients


@pytest.mark.parametrize(
    ("copies", "brokers", "too_few"),
    [(1, 1, False), (1, 2, True), (1, 3, True), (2, 2, False), (2, 3, True), (3, 3, False), (3, 9, False)],
)
def test_as_many_replicas_as_brokers_are_enough_and_three_always(copies: int, brokers: int, too_few: bool) -> None:
    assert are_too_few(copies, brokers) is too_few


class ThreeBrokers:
    """A cluster whose topics have `copies` of everything."""

    def __init__(self, copies: int) -> None:
        names = [plan.name for plan in planned_topics(Settings.read())]
        self._topics = {name: (Partition(0, 1, copies),) for name in names} | {"another": (Partition(0, 1, 1),)}

    async def retry(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        return await attempt()

    async def brokers(self) -> tuple[int, ...]:
        return 1, 2, 3

    async def partitions(self) -> dict[str, tuple[Partition, ...]]:
        return self._topics


@pytest.fixture
def copies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Three brokers whose topics have so many copies."""
    count = int(request.param)

    @asynccontextmanager
    async def cluster(_: Clients) -> AsyncIterator[ThreeBrokers]:
        yield ThreeBrokers(count)

    monkeypatch.setattr(Clients, "cluster", cluster)
    return count


@pytest.mark.parametrize(("copies", "warned"), [(1, True), (3, False)], indirect=["copies"])
async def test_topics_with_one_replica_on_three_brokers_are_a_warning(copies: int, warned: bool) -> None:
    warning = await copies_warning(Settings.read(allow_plaintext=True))

    assert bool(warning) is warned
    if warning:
        assert (
            warning.startswith(f"{copies} copy of each record on a cluster of 3 brokers")
            and "--replication-factor 3" in warning
        )


@pytest.mark.parametrize("copies", [1, 2], indirect=True)
async def test_more_copies_than_topics_have_are_refused_with_what_makes_them(copies: int) -> None:
    says = f"3 copies are asked for.*auction.query.submitted.v1 has {copies};.*kafka-reassign-partitions.sh"
    with pytest.raises(BrokerError, match=says):
        await copies_warning(Settings.read(allow_plaintext=True, replication_factor=3))


@pytest.mark.parametrize("copies", [3], indirect=True)
async def test_topics_may_have_more_copies_than_asked_for(copies: int) -> None:
    assert await copies_warning(Settings.read(allow_plaintext=True, replication_factor=1)) is None
