"""Brokers that a test starts for itself: skipped at home where a program is missing, failed where CI is set."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from workers.devkafka import DevelopmentBroker
from workers.devkafka.development_cluster import DevelopmentCluster
from workers.errors import MissingProgram


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
