"""What a partition's actor ends with when the partition is somebody else's by then."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from workers.errors import MemoryLost
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stream.partition.processor import PartitionActor
from workers.stream.partition.quarantine import Quarantine
from workers.stream.partition.transaction import NotOwner


class Forgetful:
    """Transactions of a partition whose memory is gone, and which a rebalance then takes away."""

    def __init__(self, *_: object) -> None: ...

    async def open(self) -> bool:
        raise MemoryLost("settled before, and remembers nothing")

    async def disclaim(self) -> None:
        raise NotOwner

    async def close(self) -> None: ...

    def end(self) -> None: ...


async def test_what_somebody_must_act_on_is_told_also_where_the_partition_has_gone_meanwhile() -> None:
    """The attempt is its new owner's by then; the process ends with 2, and not as after a bug of ours."""
    stage: Any = SimpleNamespace(spec=STAGES["generation"], in_flight=1)
    consumer: Any = SimpleNamespace(pause=lambda _: None)
    owned: Any = (consumer, SimpleNamespace(), lambda _: True, Quarantine())
    actor = PartitionActor(Settings.read(), Forgetful, stage, TopicPartition("t", 0), *owned)  # type: ignore[arg-type]

    with pytest.raises(MemoryLost):
        await actor.run()
