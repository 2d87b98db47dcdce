"""A real vLLM server on loopback, in processes of its own, with the bundled model: started, killed, started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import httpx

from tests.engines.bundled import FOLDER, QUICK_START
from workers.devkafka.ports import free_port
from workers.engines.options import EngineOptions, HttpOptions

START_S = 180.0  # on a machine that does other work too
STOP_S = 30.0
MODEL = "base"
ADAPTER = "adverts"
SEED = 11  # of the adapter's weights
ARGUMENTS = (
    *("--model", str(FOLDER), "--served-model-name", MODEL, "--dtype", "float32", "--max-model-len", "512"),
    *("--enforce-eager", "--block-size", "32", "--max-num-seqs", "64", "--max-num-batched-tokens", "1024"),
    *("--no-enable-chunked-prefill", "--logprobs-mode", "processed_logprobs", "--generation-config", "vllm"),
)
EMBEDDING = ("--runner", "pooling", "--convert", "embed")


class VllmServer:
    """A context manager: inside it, the server is healthy until `kill`. What it prints is in `folder`."""

    def __init__(self, folder: Path, *, adapters: bool = False, embeds: bool = False) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._extra = self._adapter_arguments() if adapters else EMBEDDING if embeds else ()
        self._port = free_port()  # not of those that the kernel gives away while it is killed
        self.url = f"http://127.0.0.1:{self._port}"
        self.name = f"{self.url}#{MODEL}"
        self.options = EngineOptions(timeout_s=60.0, http=HttpOptions(tokenizer=str(FOLDER)))

    @property
    def adapter_folder(self) -> Path:
        return self._folder / ADAPTER

    def start(self, *changed: str) -> None:
        """Return when it is healthy; `changed` are arguments that replace those there are.

        RuntimeError: it ended, or is not in time; with the end of what it printed.
        """
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1"]
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--port", str(self._port), *ARGUMENTS, *self._extra, *changed],
                env={**os.environ, **QUICK_START},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, so that its children end with it
            )
        end_s = time.monotonic() + START_S
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > end_s:
                self.kill()
                raise RuntimeError(f"no vLLM server: {(self._folder / 'output').read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End all its processes at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_S)
            self._process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """All its processes are stopped, and the machine still accepts connections for them."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        self.kill()

    def available(self) -> int:
        """How many requests it runs or has waiting, by its own metrics."""
        lines = httpx.get(f"{self.url}/metrics", timeout=10).text.splitlines()
        counts = ("vllm:num_requests_running{", "vllm:num_requests_waiting{")
        return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(counts))

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=1).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _adapter_arguments(self) -> tuple[str, ...]:
        """One slot more than there are adapters: on a CPU, replies without one get an adapter's score otherwise."""
        from tests.vllm.lora_weights import write_adapter  # needs torch

        write_adapter(self.adapter_folder, SEED)
        modules = ("--lora-modules", f"{ADAPTER}={self.adapter_folder}", "--lora-target-modules", "q_proj", "v_proj")
        return ("--enable-lora", "--max-loras", "2", "--max-lora-rank", "8", *modules)

    def __enter__(self) -> "VllmServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
