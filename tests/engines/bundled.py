"""The bundled model as vLLM is given it in tests, and the environment in which vLLM starts in seconds."""

import os
from importlib.util import find_spec

import pytest

from workers.app.models import VLLM_NEEDS
from workers.engines.embedded.engine import MODEL
from workers.engines.model_folder import ModelFolder
from workers.engines.options import EngineOptions, VllmOptions

FOLDER = MODEL / "hf"
TEMPERATURE = ModelFolder(FOLDER).temperature
VLLM = f"vllm:{FOLDER}"
OPTIONS = EngineOptions(vllm=VllmOptions(max_num_seqs=64, max_num_batched_tokens=1_024))

#: vLLM reads these once, when it is imported: no compiling, one child process, no network.
QUICK_START = {
    "TORCH_COMPILE_DISABLE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    **VLLM_NEEDS,
}


def vllm_is_installed() -> bool:
    """tests/vllm is no vLLM, although Python takes it for a package of that name."""
    found = find_spec("vllm")
    return found is not None and found.origin is not None


def need_vllm() -> None:
    """Skip the test where vLLM is missing; fail it where everything has to be tested."""
    if not vllm_is_installed():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("vLLM is not installed in this environment")
