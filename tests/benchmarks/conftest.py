"""Fixtures: a broker that only one benchmark uses, so that its CPU is that benchmark's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.errors import MissingProgram
from workers.stream.broker import DevelopmentBroker


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[DevelopmentBroker]:
    """A fresh broker for one benchmark."""
    broker = DevelopmentBroker(tmp_path / "kafka", note=print)
    try:
        broker.start()
    except MissingProgram as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(missing))
    yield broker
    broker.stop()
