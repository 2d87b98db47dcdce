"""The language models of a process, opened as its settings say."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from workers.engines.base import Engine
from workers.engines.catalogue import open_engine
from workers.engines.compatibility import open_checked, require_scorable
from workers.engines.openai_http.address import origin_of
from workers.engines.options import EngineOptions, HttpOptions, VllmOptions
from workers.engines.prompts import MAX_BYTES, PAPER, Prompts, parse_prompts
from workers.errors import SettingsError
from workers.rewards.observing import NoObserver, OwnModelObserver
from workers.rewards.open import OpenEngines, Sources, open_sources
from workers.rewards.reading import read_bounded
from workers.settings import Settings, preset

#: Switches of vLLM and of its libraries, read when they are imported. By itself vLLM logs to standard output, which is
#: for results, and reports to its makers how it is used. The last one silences what one library does to another.
VLLM_SWITCHES = {
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "PYTHONWARNINGS": "ignore:`torch.distributed.reduce_op`:FutureWarning",
}
#: Without these its processes could not be told from others: one that is forked, or that writes its title over its
#: environment (setproctitle), does not show the mark by which engines/vllm_local/guardian.py knows it.
VLLM_NEEDS = {"VLLM_WORKER_MULTIPROC_METHOD": "spawn", "SPT_NOENV": "1"}


@dataclass(frozen=True, slots=True)
class Models:
    """The reference engine, what is not the reference engine's where a process needs it, and how all are asked."""

    reference: Engine
    context_aware: Engine | None = None
    sources: Sources | None = None
    prompts: Prompts = PAPER


@asynccontextmanager
async def open_models(
    settings: Settings, *, proposal: bool, rewards: bool, observer: OwnModelObserver | None = None
) -> AsyncIterator[Models]:
    """What a process that draws candidates (`proposal`) or scores them (`rewards`) needs; all closed in the end.

    `observer` is told how advertisers' own models do.

    SettingsError names what cannot be opened, or does not fit the reference engine. EngineUnavailable: the reference
    engine or that of the proposal does not answer.
    """
    prompts = prompts_of(settings)
    options = _options(settings, prompts)
    async with AsyncExitStack() as stack:
        reference = await _open_reference(settings, options)
        stack.push_async_callback(reference.close)
        known = {settings.engine: reference}
        context_aware = await _proposal(settings, reference, options, stack) if proposal else None
        if context_aware is not None:
            known[settings.proposal_engine] = context_aware
        sources = None
        if rewards and settings.rewards_file:
            own = OpenEngines(reference, known, options, observer or NoObserver())
            sources = await open_sources(Path(settings.rewards_file), own, stack)
        yield Models(reference, context_aware, sources, prompts)


async def open_reference(settings: Settings) -> Engine:
    """The engine that replies without adverts come from, and every reward is measured against."""
    return await _open_reference(settings, engine_options(settings))


async def _open_reference(settings: Settings, options: EngineOptions) -> Engine:
    preset(VLLM_SWITCHES, VLLM_NEEDS)
    return await open_engine(settings.engine, options)


async def _proposal(
    settings: Settings, reference: Engine, options: EngineOptions, stack: AsyncExitStack
) -> Engine | None:
    """The engine that candidates are drawn from, where it is another one; its adapters would be nobody's."""
    name = settings.proposal_engine
    if name in ("", settings.engine):
        return None
    if settings.proposal == "reference":
        raise SettingsError(
            f"TESSERA_PROPOSAL_ENGINE is {name}, but with TESSERA_PROPOSAL=reference candidates are drawn from the "
            "reference engine: unset one of the two"
        )
    options = options.without_adapters()
    if origin_of(name) != origin_of(settings.engine):
        options = options.with_key("")  # the reference server's is not for another
    opening = open_engine(name, options)
    engine = await open_checked(opening, lambda one: require_scorable(one, reference), "TESSERA_PROPOSAL_ENGINE")
    stack.push_async_callback(engine.close)
    return engine


def engine_options(settings: Settings) -> EngineOptions:
    """What any engine of this process is opened with. SettingsError: what the settings name cannot be read."""
    return _options(settings, prompts_of(settings))


def _options(settings: Settings, prompts: Prompts) -> EngineOptions:
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
    return EngineOptions(settings.engine_threads, settings.engine_timeout_s, vllm, http, prompts.system)


def prompts_of(settings: Settings) -> Prompts:
    """How the models are asked. SettingsError: TESSERA_PROMPTS_FILE cannot be read."""
    if not settings.prompts_file:
        return PAPER
    named_by = "TESSERA_PROMPTS_FILE"
    return parse_prompts(read_bounded(Path(settings.prompts_file), MAX_BYTES, named_by), named_by)


def _adapters(text: str) -> dict[str, str]:
    """`NAME=FOLDER,NAME=FOLDER`."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if not all(name and folder for name, _, folder in pairs):
        raise SettingsError(f"TESSERA_VLLM_ADAPTERS: {text!r} is not NAME=FOLDER[,NAME=FOLDER...]")
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise SettingsError(f"TESSERA_VLLM_ADAPTERS: {text!r} names an adapter twice")
    return {name: folder for name, _, folder in pairs}
