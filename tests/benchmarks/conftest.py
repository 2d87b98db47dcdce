"""Fixtures: the form of a benchmark, and a broker that only one uses, so that its CPU is that benchmark's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.report import Scale
from tests.engines import bundled
from tests.support.own_node import started
from workers.devkafka import DevelopmentBroker

#: vLLM's environment has none of the libraries that copies are written with, and none of its tests is in there.
collect_ignore = ["test_sink_speed.py"] if bundled.vllm_is_installed() else []

FORMS = (pytest.param(False, id="short"), pytest.param(True, id="full", marks=pytest.mark.benchmark))


@pytest.fixture(scope="session", params=FORMS)
def scale(request: pytest.FixtureRequest) -> Scale:
    """Every benchmark takes it: its sizes and what it holds against a bound are those of its form."""
    return Scale(request.param)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[DevelopmentBroker]:
    """A fresh broker for one benchmark."""
    broker = DevelopmentBroker(tmp_path / "kafka", note=print)
    with started(broker):
        yield broker
