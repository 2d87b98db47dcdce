"""A cancellation that comes out of the client library, and not from us, is a fault: the process ends for another."""

import asyncio
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from tests.simulation.checks import judge
from tests.simulation.scenario import Scenario
from tests.simulation.simulation import Simulation
from workers.stream.partition.producer import TransactionalWriter, WriterLost

pytestmark = pytest.mark.simulation

LOST_COMMIT = 3  # the first ones go well


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("seed", range(6))
def test_a_rebalance_cancelled_midway_leaves_no_partition_without_an_owner(seed: int) -> None:
    discard, commit = TransactionalWriter.discard, TransactionalWriter.commit
    commits: list[TransactionalWriter] = []
    raised: list[TransactionalWriter] = []

    async def lost(writer: TransactionalWriter, *rest: Any) -> None:
        commits.append(writer)
        if len(commits) == LOST_COMMIT:
            raise WriterLost("a black hole")
        await commit(writer, *rest)

    async def cancelled(writer: TransactionalWriter) -> None:
        await discard(writer)
        if len(commits) >= LOST_COMMIT and not raised and writer is commits[LOST_COMMIT - 1]:
            raised.append(writer)
            raise asyncio.CancelledError

    with mock.patch.multiple(TransactionalWriter, discard=cancelled, commit=lost):
        outcome = Simulation(replace(Scenario.draw(seed, faults=False), workers=2)).run()

    assert len(raised) == 1
    assert judge(outcome) == []
