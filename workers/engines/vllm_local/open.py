"""Starts vLLM as our options say, and proves at start what later nobody could see."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import vllm
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.v1.engine.async_llm import AsyncLLM

from workers.engines.base import Engine, Identity, Limits
from workers.engines.model_folder import ModelFolder, named
from workers.engines.options import EngineOptions, VllmOptions
from workers.engines.tokenizer import ChatTokenizer
from workers.engines.vllm_local.adapter_check import check_separation
from workers.engines.vllm_local.adapters import Adapter, lora_arguments, read_adapters
from workers.engines.vllm_local.core import Core
from workers.engines.vllm_local.engine import VllmEngine, VllmScorer
from workers.engines.vllm_local.process import Background, start_guarded
from workers.engines.vllm_local.scheduling import Scheduler
from workers.engines.vllm_local.weights import adapted_sha256, weights_sha256
from workers.errors import EngineGone, SettingsError

QUEUED_PER_SEQUENCE = 64  # requests that may wait, per sequence in a step: above, vLLM refuses more
CPU_CACHE_BYTES = 1 << 30  # for keys and values; VLLM_CPU_KVCACHE_SPACE, in GiB, overrides it
CPU_BLOCK_TOKENS = 32  # of the prefix cache; a prompt shorter than vLLM's own 128 would never be reused

#: Of its end, vLLM says the same whether the memory does not suffice, or is still its predecessor's, or somebody killed
#: it: another start may help.
DIED = (
    "What it printed above is the cause; nothing printed: it was killed, as by the system for want of memory. Too "
    "little memory: lower TESSERA_VLLM_MAX_MODEL_LEN or TESSERA_VLLM_MAX_NUM_SEQS, or change "
    "TESSERA_VLLM_GPU_MEMORY_UTILIZATION; another process may hold the GPU's"
)


async def open_engine(model: str, folder: Path, options: EngineOptions) -> Engine:
    """vLLM, started with the files of `model`.

    SettingsError: it cannot run them as the options say. EngineGone: its engine core died while it loaded them.
    """
    framing, adapters = ChatTokenizer(folder, options.system), read_adapters(options.vllm.adapters, folder)
    digest = Background(partial(weights_sha256, folder))
    arguments = _arguments(folder, options.vllm, adapters)
    llm, guard = await start_guarded(lambda: _started(arguments, digest.start))
    core = Core(llm, options.timeout_s, guard, Scheduler(arguments["max_num_queued_reqs"]))
    try:
        limits = _limits(llm, framing)
        name = f"vllm:{folder.name if Path(model).expanduser().is_dir() else model}"
        identity = Identity(
            named(name, ModelFolder(folder).temperature),
            f"vllm {vllm.__version__}",
            await digest.result(),
            framing.sha256,
            core.scoring.calls,
        )
        base = VllmScorer(core, framing, identity, limits)
        adapted = {one.name: await _adapted(llm, base, one, number) for number, one in enumerate(adapters, start=1)}
        if adapted:
            await check_separation(base, adapted, str(llm.model_config.dtype))
        await core.begin()
    except BaseException:
        del llm
        await core.close()
        raise
    return VllmEngine(base, adapted)


def _started(arguments: dict[str, Any], accepted: Callable[[], None]) -> AsyncLLM:
    """Blocks until the weights are loaded. `accepted` is called before that, when the settings are right."""
    try:
        given = AsyncEngineArgs(**arguments)
        config = given.create_engine_config()
    except (ValueError, OSError, NotImplementedError) as error:
        raise SettingsError(
            f"vLLM does not take {arguments['model']} with these settings: {_first_cause(error)}"
        ) from error
    except RuntimeError as error:
        raise SettingsError(
            f"vLLM finds nothing to run {arguments['model']} on: {error}. A vLLM built for GPUs needs one that its "
            "driver shows (nvidia-smi); for CPUs there is another build: python3 infra/bootstrap.py vllm"
        ) from error
    accepted()
    try:
        return AsyncLLM.from_vllm_config(config, disable_log_stats=given.disable_log_stats)
    except (RuntimeError, TimeoutError) as error:
        raise EngineGone(f"vLLM's engine core did not survive its start with {given.model}: {error}\n{DIED}") from error
    except (ValueError, OSError) as error:
        raise SettingsError(f"vLLM does not start with {given.model}: {error}") from error


def _first_cause(error: Exception) -> str:
    """In a sentence or two: what pydantic raises is a page with a list of errors."""
    return str(error.errors()[0]["msg"]) if hasattr(error, "errors") else str(error)


def _arguments(folder: Path, options: VllmOptions, adapters: Sequence[Adapter]) -> dict[str, Any]:
    """vLLM's own defaults for the sizes of a step are those of its smallest machines: both are always said."""
    given: dict[str, Any] = {
        "model": str(folder),
        "dtype": options.dtype,
        "quantization": options.quantization or None,
        "tensor_parallel_size": options.tensor_parallel,
        "gpu_memory_utilization": options.gpu_memory_utilization,
        "max_model_len": options.max_model_len or None,
        "max_num_seqs": options.max_num_seqs,
        "max_num_batched_tokens": options.max_num_batched_tokens,
        "max_num_queued_reqs": QUEUED_PER_SEQUENCE * options.max_num_seqs,
        "enable_prefix_caching": options.prefix_caching,
        "logprobs_mode": "processed_logprobs",  # of the distribution that is drawn from
        "scheduling_policy": "priority",
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    return given | lora_arguments(adapters) | (_for_cpu(options) if current_platform.is_cpu() else {})


def _for_cpu(options: VllmOptions) -> dict[str, Any]:
    """A seeded request whose prompt is split over two steps kills the CPU's engine core: no chunked prefill."""
    return {
        "dtype": "float32" if options.dtype == "auto" else options.dtype,
        "enable_chunked_prefill": False,
        "enforce_eager": True,
        "block_size": CPU_BLOCK_TOKENS,
        "kv_cache_memory_bytes": CPU_CACHE_BYTES,
    }


def _limits(llm: AsyncLLM, framing: ChatTokenizer) -> Limits:
    """One token of the context is left to vLLM, which draws one even where a reply is only scored."""
    config = llm.model_config
    vocabulary = int(config.get_vocab_size())
    if framing.vocabulary > vocabulary:
        raise SettingsError(
            f"the tokenizer knows {framing.vocabulary} tokens, the model {vocabulary}: they do not belong together"
        )
    return Limits(vocabulary, int(config.max_model_len) - 1)


async def _adapted(llm: AsyncLLM, base: VllmScorer, adapter: Adapter, number: int) -> VllmScorer:
    """Loaded and held from the start: in traffic, loading would stop everybody."""
    request = LoRARequest(adapter.name, number, str(adapter.folder))
    try:
        await llm.add_lora(request)
        await llm.pin_lora(number)
    except Exception as error:  # vLLM passes on whatever its engine core raised
        raise SettingsError(
            f"TESSERA_VLLM_ADAPTERS: vLLM cannot load the adapter {adapter.name!r} from {adapter.folder}: {error}"
        ) from error
    known = base.identity
    digest = await asyncio.to_thread(adapted_sha256, known.model_sha256, adapter.weights)
    identity = Identity(f"{known.name}+{adapter.name}", known.version, digest, known.tokenizer_sha256)
    return VllmScorer(base.core, base.framing, identity, base.limits, request)
