"""The guardian without vLLM: processes that look like its, a parent that dies, and orders."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from workers.engines.vllm_local.process import Guard, start_guarded

ENDS_WITHIN_S = 20.0
SLEEPS_S = 600

#: A worker whose "vLLM" is a process of multiprocessing with a child of its own; it says both ids and waits.
PARENT = f"""
import asyncio, multiprocessing, os, sys, time
from tests.engines.test_guardian import core
from workers.engines.vllm_local.process import start_guarded

def start():
    ours, theirs = context.Pipe()
    context.Process(target=core, args=(theirs,)).start()
    return ours.recv()

def start_and_die():
    process = context.Process(target=time.sleep, args=({SLEEPS_S},))
    process.start()
    print(process.pid, flush=True)
    os.kill(os.getpid(), {signal.SIGKILL})

async def main():
    told, _ = await start_guarded(start_and_die if "dies" in sys.argv else start)
    print(*told, flush=True)
    await asyncio.sleep({SLEEPS_S})

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    asyncio.run(main())
"""


def core(pipe: "multiprocessing.connection.Connection") -> None:
    """Deaf to what asks it to end, and not alone."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({SLEEPS_S})"])
    pipe.send((os.getpid(), worker.pid, signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    time.sleep(SLEEPS_S)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", list[psutil.Process], str]]:
    """The parent; its core and the core's child; whether a Ctrl-C is kept from them."""
    with _parent(tmp_path) as parent:
        assert parent.stdout is not None
        *ids, blocked = parent.stdout.readline().split()
        below = [psutil.Process(int(pid)) for pid in ids]
        yield parent, below, blocked.decode()
        parent.kill()


def _parent(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    program = folder / "parent.py"
    program.write_text(PARENT)
    path = {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, str(program), *arguments], stdout=subprocess.PIPE, env={**os.environ, **path}
    )


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_no_child_process_outlives_a_killed_parent(
    started: tuple["subprocess.Popen[bytes]", list[psutil.Process], str], sent: signal.Signals
) -> None:
    parent, below, blocked = started
    assert blocked == "True"

    parent.send_signal(sent)

    assert parent.wait(ENDS_WITHIN_S) == -sent
    assert psutil.wait_procs(below, timeout=ENDS_WITHIN_S)[1] == []


def test_no_child_process_outlives_a_parent_that_dies_right_after_starting_it(tmp_path: Path) -> None:
    """By then the parent of what is left is another: only what it was born with tells whose it is."""
    with _parent(tmp_path, "dies") as parent:
        assert parent.stdout is not None
        below = int(parent.stdout.readline())

        assert parent.wait(ENDS_WITHIN_S) == -signal.SIGKILL
        until = time.monotonic() + ENDS_WITHIN_S
        while psutil.pid_exists(below) and time.monotonic() < until:
            time.sleep(0.05)
        assert not psutil.pid_exists(below)


async def test_a_start_that_is_cancelled_is_ended_and_waited_for() -> None:
    """The start notices that its process is gone, as vLLM does."""
    begun: list[int] = []

    def start() -> None:
        process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(SLEEPS_S,))
        process.start()
        begun.append(process.pid or 0)
        process.join()

    starting = asyncio.create_task(start_guarded(start))
    async with asyncio.timeout(ENDS_WITHIN_S):
        while not begun:
            await asyncio.sleep(0.01)

    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(ENDS_WITHIN_S):
            await starting
    assert not psutil.pid_exists(begun[0])


async def test_an_error_while_starting_is_raised_as_it_is() -> None:
    def start() -> None:
        raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        await start_guarded(start)


def test_processes_of_others_are_left_alone() -> None:
    other = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({SLEEPS_S})"])
    guard = Guard()
    guard.end()
    guard.close()

    assert other.poll() is None
    other.kill()
    other.wait(ENDS_WITHIN_S)


async def test_two_vllms_of_one_process_end_apart() -> None:
    """Closing one leaves the other's processes alone, whichever came first, and if both came at once."""

    def start() -> psutil.Process:
        process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(SLEEPS_S,), daemon=True)
        process.start()
        return psutil.Process(process.pid)

    (first, first_guard), (second, second_guard) = await asyncio.gather(start_guarded(start), start_guarded(start))
    third, third_guard = await start_guarded(start)

    second_guard.close()
    assert psutil.wait_procs([second], timeout=ENDS_WITHIN_S)[1] == []
    assert len(psutil.wait_procs([first, third], timeout=0.5)[1]) == 2

    first_guard.close()
    assert psutil.wait_procs([first], timeout=ENDS_WITHIN_S)[1] == []
    assert psutil.wait_procs([third], timeout=0.5)[1] == [third]

    third_guard.close()
    assert psutil.wait_procs([third], timeout=ENDS_WITHIN_S)[1] == []
