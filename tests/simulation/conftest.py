"""What every test with the simulator has."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def quiet() -> Iterator[None]:
    """Workers tell of every doubt, and here doubts are what is made."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
