"""vLLM in this process: its engine core is a child process, its front end shares our event loop."""

import asyncio
import importlib
from functools import partial
from importlib.util import find_spec

from workers.engines.base import Engine
from workers.engines.options import EngineOptions
from workers.engines.vllm_local.process import Background
from workers.engines.vllm_local.weights import find_model
from workers.errors import MissingProgram

IMPORTS_VLLM = f"{__name__}.open"  # which takes seconds


async def open_vllm(model: str, options: EngineOptions) -> Engine:
    """The engine for `model`, a folder, or NAME@COMMIT of a model on the Hugging Face hub.

    SettingsError: it is not there, or vLLM cannot run it as the options say. EngineGone: vLLM died while it loaded it.
    MissingProgram: vLLM is not installed.
    """
    found = find_spec("vllm")
    if found is None or found.origin is None:  # a mere folder of that name has no origin
        raise MissingProgram(
            "vLLM is not installed in this environment. For GPUs: pip install 'tessera-auction[vllm]'; "
            "for CPUs, in an environment of its own: python3 infra/bootstrap.py vllm"
        )
    finding = Background(partial(find_model, model))  # the hub may take minutes, and a Ctrl-C does not wait for it
    finding.start()
    folder = await finding.result()  # a wrong name is said before the seconds that the import takes
    opening = await asyncio.to_thread(importlib.import_module, IMPORTS_VLLM)
    engine: Engine = await opening.open_engine(model, folder, options)
    return engine
