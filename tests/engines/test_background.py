"""Work in the background: its result, its error, and that neither a cancelled wait nor the end waits for it."""

import asyncio
import threading
import time

import pytest

from workers.engines.vllm_local.process import Background

TOO_LONG_S = 30.0


def test_a_background_call_returns_its_result() -> None:
    async def main() -> str:
        work = Background(lambda: threading.current_thread().name)
        work.start()
        return await work.result()

    assert asyncio.run(main()) == "background"


def test_a_background_calls_error_is_raised_to_its_waiter() -> None:
    def fail() -> None:
        raise ValueError("no such file")

    async def main() -> None:
        work = Background(fail)
        work.start()
        await work.result()

    with pytest.raises(ValueError, match="no such file"):
        asyncio.run(main())


def test_a_cancelled_wait_ends_the_process_at_once() -> None:
    release, began = threading.Event(), time.monotonic()
    work = Background(lambda: release.wait(TOO_LONG_S))

    async def main() -> None:
        work.start()
        async with asyncio.timeout(0.05):
            await work.result()

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert time.monotonic() - began < TOO_LONG_S / 2
    release.set()
