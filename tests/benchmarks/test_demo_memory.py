"""What the demo takes from a laptop: time and memory of the whole process."""

import re
import subprocess
import sys
import time

import psutil

from tests.benchmarks.report import Scale
from tests.support.worker_process import environment

MEBIBYTE = 1024 * 1024
POLL_S = 0.02


def test_demo(scale: Scale) -> None:
    began = time.perf_counter()
    command = [sys.executable, "-m", "workers", "demo", *scale([], ["--limit", "1"])]
    settings = environment("127.0.0.1:1", engine="embedded")
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, text=True) as process:
        peak = peak_memory(process)
        output = process.stdout.read() if process.stdout else ""
    auctions_s = float(re.findall(r"refused; ([\d.]+) s", output)[-1])
    row = {"whole process s": time.perf_counter() - began, "auctions s": auctions_s, "peak MiB": peak / MEBIBYTE}
    scale.report("demo", [row])


def peak_memory(process: "subprocess.Popen[str]") -> int:
    """Most resident bytes seen while it runs."""
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(POLL_S)
    return peak
