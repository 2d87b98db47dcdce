"""A broker whose settings do not suit the workers, shared by the tests of what they say then."""

from collections.abc import Iterator

import pytest

from tests.support.own_node import started
from tests.support.strict_broker import StrictBroker
from tests.support.worker_process import tessera
from workers.devkafka import DevelopmentBroker


@pytest.fixture(scope="session")
def strict(session_broker: DevelopmentBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictBroker]:
    """Has the topics. (The session's broker: Java is there, and the jars are.)"""
    broker = StrictBroker(tmp_path_factory.mktemp("strict"))
    with started(broker):
        assert tessera("topics", "create", kafka=broker.bootstrap_servers).returncode == 0
        yield broker
