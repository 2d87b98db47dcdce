"""Fixture: the log of one run of the stages, to be edited."""

import pytest

from schemas.record import Record
from tests.audit.campaign_log import asked, run_pipeline


@pytest.fixture(scope="session")
async def log() -> list[Record]:
    """Good queries, poison and a duplicate, all ended; nothing is wrong with it."""
    return await run_pipeline(asked())
