"""A core that answers nothing is given up, in time and for everybody. One that is slow is not, nor one asked late."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from workers.engines.vllm_local.heartbeat import LOOKS, SILENT_S, Heartbeat, silence_s
from workers.errors import EngineGone, EngineTimeout

SHORT_S = 0.3
LONG_S = 30.0


class Core:
    """Answers when `lives` is set; counts how often it was asked."""

    def __init__(self, lives: bool = False) -> None:
        self.asked, self.lives = 0, asyncio.Event()
        if lives:
            self.lives.set()

    async def answer(self) -> bool:
        self.asked += 1
        return await self.lives.wait()


def beating(ask: Callable[[], Awaitable[object]], silent_s: float) -> Heartbeat:
    heart = Heartbeat(ask, silent_s)
    heart.begin()
    return heart


async def request(heart: Heartbeat, takes_s: float = LONG_S, limit_s: float = LONG_S) -> str:
    async with heart.within(limit_s):
        await asyncio.sleep(takes_s)
    return "answered"


async def until_nothing_runs() -> None:
    async with asyncio.timeout(5):
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)


async def test_a_silent_engine_core_fails_every_current_and_later_request() -> None:
    heart, began = beating(Core().answer, SHORT_S), time.monotonic()

    outcomes = await asyncio.gather(*(request(heart) for _ in range(3)), return_exceptions=True)

    assert [type(one) for one in outcomes] == [EngineGone] * 3
    assert SHORT_S <= time.monotonic() - began < LONG_S / 2
    with pytest.raises(EngineGone, match=r"not answered for 0\.3 s.*this process cannot get another"):
        await request(heart, takes_s=0)
    await until_nothing_runs()
    assert heart.stopped


async def test_no_heartbeat_is_sent_before_the_first_request() -> None:
    """The first requests compile, for as long as they like."""
    core = Core()

    assert await request(Heartbeat(core.answer, SHORT_S), takes_s=2 * SHORT_S) == "answered"

    assert core.asked == 0


async def test_short_deadlines_do_not_hide_a_silent_engine_core() -> None:
    """Each request is given up long before the silence is long enough."""
    heart = beating(Core().answer, SHORT_S)

    async with asyncio.timeout(10):
        while not heart.stopped:
            with pytest.raises((EngineTimeout, EngineGone)):
                await request(heart, limit_s=SHORT_S / LOOKS)

    with pytest.raises(EngineGone):
        await request(heart, takes_s=0)


async def test_an_engine_core_that_answers_slowly_is_not_given_up() -> None:
    core = Core()
    heart = beating(core.answer, SHORT_S)
    working = asyncio.create_task(request(heart, takes_s=4 * SHORT_S))

    while not working.done():  # in steps that take half of what it may be silent
        await asyncio.sleep(SHORT_S / 2)
        core.lives.set()
        await asyncio.sleep(0)
        core.lives.clear()

    assert await working == "answered" and core.asked > 1
    await until_nothing_runs()
    assert not heart.stopped


async def test_a_blocked_event_loop_is_not_taken_for_a_silent_core() -> None:
    """Also a process that was stopped for a while, together with its core."""
    core = Core()
    heart = beating(core.answer, SHORT_S)
    working = asyncio.create_task(request(heart, takes_s=2 * SHORT_S))
    async with asyncio.timeout(5):
        while not core.asked:
            await asyncio.sleep(0.001)

    time.sleep(3 * SHORT_S)  # the loop does nothing else meanwhile
    asyncio.get_running_loop().call_later(SHORT_S / 3, core.lives.set)

    assert await working == "answered"
    await until_nothing_runs()
    assert not heart.stopped


async def test_an_error_of_the_heartbeat_itself_ends_the_request() -> None:
    async def fails() -> None:
        raise RuntimeError("no such method")

    with pytest.raises(EngineGone, match="whether it lives: no such method"):
        await request(beating(fails, SHORT_S))


async def test_a_request_has_its_own_time_limit() -> None:
    heart = beating(Core(lives=True).answer, LONG_S)

    with pytest.raises(EngineTimeout, match=r"within 0\.01 s"):
        await request(heart, limit_s=0.01)
    await heart.close()


@pytest.mark.parametrize("takes_s", [0.0, LONG_S])
async def test_closing_the_heartbeat_leaves_no_task(takes_s: float) -> None:
    """Neither between two questions nor while one is out."""
    core = Core()
    heart = beating(core.answer, LONG_S if takes_s == 0 else SHORT_S)
    waits = asyncio.create_task(request(heart, takes_s, limit_s=LONG_S))
    wanted: Callable[[], bool] = waits.done if takes_s == 0 else lambda: core.asked > 0
    async with asyncio.timeout(5):
        while not wanted():
            await asyncio.sleep(0.001)
    waits.cancel()

    await heart.close()

    await until_nothing_runs()


def test_the_allowed_silence_grows_with_the_request_timeout() -> None:
    assert silence_s(60.0) == SILENT_S == 30.0
    assert silence_s(600.0) == 300.0
    assert silence_s(5.0) == SILENT_S
