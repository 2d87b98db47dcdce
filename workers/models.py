"""The language models of a process, opened as its settings say."""

from workers.engines.base import Engine
from workers.engines.catalogue import open_engine
from workers.engines.options import EngineOptions, HttpOptions, VllmOptions
from workers.errors import SettingsError
from workers.settings import Settings, switch_vllm


async def open_reference(settings: Settings) -> Engine:
    """The engine that replies without adverts come from, and every reward is measured against."""
    switch_vllm()
    return await open_engine(settings.engine, engine_options(settings))


def engine_options(settings: Settings) -> EngineOptions:
    """What any engine of this process is opened with. SettingsError: TESSERA_VLLM_ADAPTERS cannot be read."""
    vllm = VllmOptions(
        dtype=settings.vllm_dtype,
        quantization=settings.vllm_quantization,
        tensor_parallel=settings.vllm_tensor_parallel,
        gpu_memory_utilization=settings.vllm_gpu_memory_utilization,
        max_model_len=settings.vllm_max_model_len,
        max_num_seqs=settings.vllm_max_num_seqs,
        max_num_batched_tokens=settings.vllm_max_num_batched_tokens,
        prefix_caching=settings.vllm_prefix_caching,
        adapters=_adapters(settings.vllm_adapters),
    )
    http = HttpOptions(
        api_key=settings.engine_api_key.get_secret_value(),
        concurrency=settings.engine_concurrency,
        tokenizer=settings.engine_tokenizer,
    )
    return EngineOptions(settings.engine_threads, settings.engine_timeout_s, vllm, http)


def _adapters(text: str) -> dict[str, str]:
    """`NAME=FOLDER,NAME=FOLDER`."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if not all(name and folder for name, _, folder in pairs):
        raise SettingsError(f"TESSERA_VLLM_ADAPTERS: {text!r} is not NAME=FOLDER[,NAME=FOLDER...]")
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise SettingsError(f"TESSERA_VLLM_ADAPTERS: {text!r} names an adapter twice")
    return {name: folder for name, _, folder in pairs}
