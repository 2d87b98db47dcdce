"""Fixtures: a real Kafka for the tests that need one, bare or with the product's topics, and a real vLLM."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest

from tests.engines import bundled
from tests.support.own_node import started
from tests.support.vllm_server import VllmServer
from workers.devkafka import DevelopmentBroker
from workers.engines.base import Engine
from workers.engines.catalogue import open_engine
from workers.errors import MissingProgram
from workers.pipeline import GROUPS
from workers.settings import Settings
from workers.stream.admin.first_offsets import initialise_offsets
from workers.stream.admin.topics import create_topics

# Wherever the shell says otherwise: hundreds of processes are started, and each would compile every module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How long an example takes says how busy the machine is; where CI is set, hypothesis has this rule of its own.
hypothesis.settings.register_profile(
    "busy", hypothesis.settings.default, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

CHOICES = ("-n", "-m", "-k", "-s", "--pdb", "--lf", "--co")  # options that say which tests run, and how


@pytest.fixture(scope="session", autouse=True)
def settings_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The brokers of most tests have no TLS and no users; those with both say so. The home folder stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_ALLOW_PLAINTEXT", "true")
        patch.setenv("TESSERA_STATE_FOLDER", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def session_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevelopmentBroker]:
    """The one broker of the session. Tests that stop or kill it take `broker`, all others take `kafka`."""
    broker = DevelopmentBroker(tmp_path_factory.mktemp("kafka"), note=print)
    with started(broker):
        yield broker


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> str:
    """Bootstrap servers of a Kafka to use: TESSERA_TEST_BOOTSTRAP, or a broker that this session starts."""
    if given := os.environ.get("TESSERA_TEST_BOOTSTRAP"):
        return given
    broker: DevelopmentBroker = request.getfixturevalue("session_broker")
    return broker.bootstrap_servers


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


@pytest.fixture
def broker(session_broker: DevelopmentBroker) -> Iterator[DevelopmentBroker]:
    """The session's broker for a test that kills it; it runs again afterwards."""
    yield session_broker
    if session_broker.pid is None:
        session_broker.start()


def pytest_configure() -> None:
    gc.disable()  # until all is collected: what is made meanwhile stays
    # Who ends the tests ends their brokers and servers too. A shell starts what it runs in the background with SIGINT
    # ignored, and every child would inherit that.
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, signal.default_int_handler)
    if bundled.vllm_is_installed():
        for variable, value in bundled.QUICK_START.items():
            os.environ.setdefault(variable, value)


def pytest_collection_finish() -> None:
    """Modules and test items live to the end: the garbage collector need not look at half a million of them again."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Plain `pytest` uses every core; whoever chooses tests, or how they run, chooses that too (-n)."""
    option, words = config.option, config.invocation_params.args
    chosen = option.file_or_dir or any(str(word).startswith(CHOICES) for word in words)
    is_one_of_them = "PYTEST_XDIST_WORKER" in os.environ
    if not chosen and not is_one_of_them and hasattr(option, "numprocesses"):
        option.numprocesses, option.dist = "auto", "worksteal"


@pytest.fixture(scope="session")
async def vllm_engine() -> AsyncIterator[Engine]:
    """The one vLLM engine of the session, on the bundled model. Tests that kill one open their own."""
    try:
        engine = await open_engine(bundled.VLLM, bundled.OPTIONS)
    except MissingProgram as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(missing))
    yield engine
    await engine.close()


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """The one vLLM server of the session, with one adapter. Tests that kill one start their own."""
    bundled.need_vllm()
    with VllmServer(tmp_path_factory.mktemp("vllm-server"), adapters=True) as server:
        yield server


@pytest.fixture(scope="session")
async def http_engine(vllm_server: VllmServer) -> AsyncIterator[Engine]:
    """The session's server as an engine."""
    engine = await open_engine(vllm_server.name, vllm_server.options)
    yield engine
    await engine.close()
