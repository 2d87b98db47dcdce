"""The advertisers' registry inside generation: restored before the stage begins, then followed."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from workers.advertisers.admission import Admission
from workers.advertisers.search import SearchIndex
from workers.app.registry import RegistryTable, registry_table
from workers.settings import Settings
from workers.stream.bus import Bus


@dataclass(frozen=True, slots=True)
class FollowedRegistry:
    """The table, and who of it may bid."""

    table: RegistryTable
    admission: Admission

    async def beside(self, stages: Awaitable[None], stop: asyncio.Event) -> None:
        """Follow the table while the stages run. A table that cannot be read any more ends them: BrokerError."""
        following = asyncio.create_task(self.table.follow())
        running = asyncio.ensure_future(stages)
        try:
            await asyncio.wait([following, running], return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            await running
        finally:
            for task in (running, following):
                task.cancel()
            await asyncio.wait([running, following])
        if not following.cancelled():
            following.result()  # it ends only with an error


async def restored_registry(bus: Bus, settings: Settings) -> FollowedRegistry:
    """Everybody who is registered by now. BrokerError: the topic cannot be read."""
    if settings.registry == "named":
        table = registry_table(bus)
        admission = Admission(table, settings.currency)
    else:
        index = SearchIndex()
        table = registry_table(bus, index.update)
        admission = Admission(table, settings.currency, index.find, settings.found_advertisers)
    await table.restore()
    return FollowedRegistry(table, admission)
