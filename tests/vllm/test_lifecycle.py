"""Requests that are given up are freed, a dead engine core is noticed at once, and load changes no reply."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psutil
import pytest

from tests.engines import bundled
from workers.engines.base import Engine, Reply, derive_seed
from workers.engines.calls import within
from workers.engines.catalogue import open_engine
from workers.errors import EngineGone, EngineTimeout, RetriesExhausted

pytestmark = pytest.mark.vllm

QUESTION = "How do I bake cookies?"
LONG = 400  # tokens; such a call takes seconds, most replies end before
NOTICED_S = 5.0


def seeds(auction: str, count: int) -> list[int]:
    return [derive_seed(b"", auction, "candidate", index) for index in range(count)]


def unfinished(engine: Any) -> int:
    """Behind the retries: requests that vLLM holds."""
    return int(engine.wrapped.unfinished)


async def until(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_cancelled_call_frees_its_requests(vllm_engine: Engine) -> None:
    call = asyncio.create_task(vllm_engine.sample(vllm_engine.encode(QUESTION), seeds=seeds("a", 40), max_tokens=LONG))
    await until(lambda: unfinished(vllm_engine) == 40)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: unfinished(vllm_engine) == 0)


async def test_a_deadline_frees_scoring_too(vllm_engine: Engine) -> None:
    prompt = vllm_engine.encode(QUESTION)
    replies = [Reply((5 + index,) * 300, "", 0.0, False) for index in range(200)]

    with pytest.raises(EngineTimeout):
        async with within(timedelta(seconds=0.05)):
            await vllm_engine.log_probs(prompt, replies)

    await until(lambda: unfinished(vllm_engine) == 0)
    assert (await vllm_engine.log_probs(prompt, replies[:2])).shape == (2,)


async def test_the_engines_own_timeout_is_applied(vllm_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engines.calls.PAUSES_S", (0.01,))
    monkeypatch.setattr(vllm_engine.wrapped._core, "_timeout_s", 0.05)

    with pytest.raises(RetriesExhausted, match=r"within 0\.05 s"):
        await vllm_engine.sample(vllm_engine.encode(QUESTION), seeds=seeds("b", 40), max_tokens=LONG)

    await until(lambda: unfinished(vllm_engine) == 0)


async def test_a_reply_is_the_same_under_load(vllm_engine: Engine) -> None:
    prompt = vllm_engine.encode(QUESTION)
    alone = await vllm_engine.sample(prompt, seeds=seeds("c", 8), max_tokens=60)
    others = [vllm_engine.sample(prompt, seeds=seeds(f"other {n}", 20), max_tokens=60) for n in range(3)]

    loaded, *_ = await asyncio.gather(
        vllm_engine.sample(prompt, seeds=seeds("c", 8), max_tokens=60),
        *others,
        vllm_engine.log_probs(prompt, alone),
    )

    assert loaded == alone


async def test_older_auctions_go_first(vllm_engine: Engine) -> None:
    """More requests than fit one step: calls end in their order, but scoring does not wait behind drawing."""
    prompt, ended = vllm_engine.encode(QUESTION), list[int | str]()
    drawn = await vllm_engine.sample(prompt, seeds=seeds("drawn", 8), max_tokens=24)

    async def draw(number: int) -> None:
        await vllm_engine.sample(prompt, seeds=seeds(f"auction {number}", 48), max_tokens=24)
        ended.append(number)

    async def score() -> None:
        await until(lambda: unfinished(vllm_engine) >= 5 * 48)
        await vllm_engine.log_probs(prompt, drawn)
        ended.append("scored")

    await asyncio.gather(*(draw(number) for number in range(5)), score())

    assert [one for one in ended if one != "scored"] == [0, 1, 2, 3, 4]
    assert ended.index("scored") <= 1


@pytest.fixture
async def killable() -> AsyncIterator[tuple[Engine, psutil.Process]]:
    before = set(psutil.Process().children(recursive=True))
    engine = await open_engine(bundled.VLLM, replace(bundled.OPTIONS, timeout_s=20.0))
    started = set(psutil.Process().children(recursive=True)) - before
    (core,) = [child for child in started if "EngineCore" in " ".join(child.cmdline())]
    yield engine, core
    await engine.close()


async def test_a_dead_engine_core_ends_every_call_at_once(killable: tuple[Engine, psutil.Process]) -> None:
    # Given calls in flight
    engine, core = killable
    prompt = engine.encode(QUESTION)
    (reply,) = await engine.sample(prompt, seeds=[1], max_tokens=20)
    calls = [asyncio.create_task(engine.sample(prompt, seeds=seeds(f"d{n}", 20), max_tokens=LONG)) for n in range(3)]
    await until(lambda: unfinished(engine) == 60)
    # When the engine core is killed
    core.kill()
    killed = time.monotonic()
    # Then each of them ends, and says that only a new process helps
    for error in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(error, EngineGone)
    # and so does every later one
    with pytest.raises(EngineGone, match="this process cannot get another"):
        await engine.sample(prompt, seeds=[1], max_tokens=20)
    with pytest.raises(EngineGone):
        await engine.log_probs(prompt, [reply])
    assert time.monotonic() - killed < NOTICED_S


async def test_an_engine_core_that_dies_while_it_loads_is_no_wrong_setting() -> None:
    """As when the system takes its memory: another start may help, and the process ends with the code that says so."""
    bundled.need_vllm()
    before = set(psutil.Process().children(recursive=True))
    opening = asyncio.create_task(open_engine(bundled.VLLM, bundled.OPTIONS))

    def cores() -> list[psutil.Process]:
        started = set(psutil.Process().children(recursive=True)) - before
        return [child for child in started if "EngineCore" in child.name() or "spawn_main" in " ".join(child.cmdline())]

    await until(lambda: opening.done() or cores() != [], limit_s=120.0)
    for core in cores():
        core.kill()

    with pytest.raises(EngineGone, match=r"did not survive its start.*\n.*TESSERA_VLLM_GPU_MEMORY_UTILIZATION"):
        await opening


async def test_a_silent_engine_core_is_noticed_and_leaves_nothing(
    killable: tuple[Any, psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped, it is there, and answers nothing: nobody but us would notice."""
    # Given calls in flight
    engine, core = killable
    monkeypatch.setattr(engine.wrapped._core._heart, "silent_s", 2.0)
    processes = [core, *core.children(recursive=True)]
    prompt = engine.encode(QUESTION)
    (reply,) = await engine.sample(prompt, seeds=[1], max_tokens=20)
    calls = [asyncio.create_task(engine.sample(prompt, seeds=seeds(f"s{n}", 20), max_tokens=LONG)) for n in range(3)]
    await until(lambda: unfinished(engine) == 60)
    # When the engine core does nothing any more
    core.suspend()
    stopped = time.monotonic()
    # Then each of them ends, long before its own limit, and says that only a new process helps
    for error in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(error, EngineGone) and "has not answered for 2 s" in str(error)
    # and so does every later one
    with pytest.raises(EngineGone, match="this process cannot get another"):
        await engine.log_probs(prompt, [reply])
    assert time.monotonic() - stopped < NOTICED_S
    # And closing does not wait for it, and leaves no process
    await engine.close()
    assert time.monotonic() - stopped < 2 * NOTICED_S
    assert psutil.wait_procs(processes, timeout=0)[1] == []


async def test_a_healthy_engine_core_is_not_given_up(
    killable: tuple[Any, psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked many times while it works, and answers between two steps."""
    engine, _ = killable
    heart, asked = engine.wrapped._core._heart, []
    ask = heart._ask
    monkeypatch.setattr(heart, "silent_s", 1.5)
    monkeypatch.setattr(heart, "_ask", lambda: asked.append(1) or ask())

    for _ in range(3):
        await engine.sample(engine.encode(QUESTION), seeds=seeds("healthy", 64), max_tokens=LONG)

    assert len(asked) > 5 and not heart.stopped


@pytest.mark.parametrize("stopped", [False, True])
async def test_the_event_loop_works_on_while_the_engine_closes(
    killable: tuple[Any, psutil.Process], caplog: pytest.LogCaptureFixture, stopped: bool
) -> None:
    """Also where the core takes its time to end: one that is stopped has to be killed. Nothing is printed."""
    engine, core = killable
    await engine.sample(engine.encode(QUESTION), seeds=[1], max_tokens=20)
    logging.getLogger("vllm").addHandler(caplog.handler)  # its records do not propagate
    if stopped:
        core.suspend()
    closing = asyncio.create_task(engine.close())
    longest_s, last = 0.0, time.monotonic()
    while not closing.done():
        await asyncio.sleep(0.01)
        longest_s, last = max(longest_s, time.monotonic() - last), time.monotonic()
    logging.getLogger("vllm").removeHandler(caplog.handler)

    await closing
    assert longest_s < 2.0
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    assert psutil.wait_procs([core], timeout=5)[1] == []
