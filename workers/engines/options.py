"""What an engine is opened with, beside its name. Each engine reads its own part; the others' stays as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """For vLLM in this process. A limit of 0 is left to vLLM where it has one of the model's."""

    dtype: str = "auto"
    quantization: str = ""
    tensor_parallel: int = 1
    gpu_memory_utilization: float = 0.9
    max_model_len: int = 0  # tokens of prompt and reply together
    max_num_seqs: int = 256  # sequences in one step; sampling and scoring share them
    max_num_batched_tokens: int = 8_192  # tokens in one step
    prefix_caching: bool = True
    adapters: Mapping[str, str] = field(default_factory=dict)  # LoRA weights: name to folder


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """For a vLLM server."""

    api_key: str = ""
    concurrency: int = 64  # requests in flight
    tokenizer: str = ""  # folder with tokenizer.json and the chat template


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """For any engine."""

    threads: int = 2  # of the CPU
    timeout_s: float = 60.0  # of one request to the model
    vllm: VllmOptions = field(default_factory=VllmOptions)
    http: HttpOptions = field(default_factory=HttpOptions)
    system: str = ""  # the system line before every user turn

    def with_key(self, api_key: str) -> "EngineOptions":
        """For a server that asks for that key."""
        return replace(self, http=replace(self.http, api_key=api_key))

    def without_adapters(self) -> "EngineOptions":
        """For an engine that is not the reference engine, whose adapters they are."""
        return replace(self, vllm=replace(self.vllm, adapters={}))
