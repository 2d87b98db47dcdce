"""Fixtures: the product's topics on the session's broker."""

import asyncio

import pytest

from workers.pipeline import GROUPS
from workers.settings import Settings
from workers.stream.admin import create_topics, initialise_offsets


@pytest.fixture(scope="session")
def topics(kafka: str) -> str:
    """Bootstrap servers of a Kafka that has every topic and first offset."""
    settings = Settings.read(bootstrap_servers=kafka)

    async def create() -> None:
        await create_topics(settings)
        await initialise_offsets(settings, GROUPS)

    with asyncio.Runner() as runner:
        runner.run(create())
    return kafka
