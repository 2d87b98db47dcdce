"""Brokers that a test starts for itself: skipped at home where a program is missing, failed where CI is set."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from workers.errors import MissingProgram
from workers.stream.broker import DevelopmentBroker
from workers.stream.broker.development_cluster import DevelopmentCluster


@contextmanager
def started(node: DevelopmentBroker | DevelopmentCluster) -> Iterator[None]:
    """It runs inside; in the end it is stopped."""
    try:
        node.start()
    except MissingProgram as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(missing))
    try:
        yield
    finally:
        node.stop()
