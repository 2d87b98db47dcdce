"""What an auction should cost on a GPU: a roofline, that is a model of limits and not a measurement.

A step of the language model takes as long as its bytes over the memory's bandwidth, or its arithmetic over the
arithmetic units' rate, whichever is longer; nothing else costs anything. So real times are longer, and what two rows
have to each other says more than either. `python3 infra/roofline.py` prints the table of engines.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

CONCURRENCY = (1, 4, 16, 64)


@dataclass(frozen=True)
class Gpu:
    """A GPU's published figures. Arithmetic without sparsity, which a language model's weights do not have."""

    name: str
    memory_bytes: float
    bytes_per_s: float
    flop_per_s: float  # bfloat16 tensor cores


@dataclass(frozen=True)
class Model:
    """A decoder in bfloat16 whose attention heads share keys and values in groups."""

    name: str
    parameters: float
    layers: int
    kv_heads: int
    head_size: int
    bytes_per_number: int = 2

    @property
    def weight_bytes(self) -> float:
        return self.parameters * self.bytes_per_number

    @property
    def kv_bytes_per_token(self) -> float:
        """Keys and values of every layer."""
        return 2.0 * self.layers * self.kv_heads * self.head_size * self.bytes_per_number


@dataclass(frozen=True)
class Auction:
    """M candidates of `reply` tokens after prompts of `prompt` tokens, scored for the reference and N advertisers."""

    candidates: int = 20
    advertisers: int = 2
    prompt: int = 128
    reply: int = 256


#: NVIDIA's product pages of the H100 SXM and the H200 SXM. They give 1,979 TFLOPS "with sparsity"; half of it is dense.
GPUS = (
    Gpu("H100 SXM", 80e9, 3.35e12, 989.5e12),
    Gpu("H200 SXM", 141e9, 4.8e12, 989.5e12),
)
#: The published configuration of Llama 3.1 8B.
MODEL = Model("8 billion parameters", 8.03e9, layers=32, kv_heads=8, head_size=128)


def step_s(gpu: Gpu, model: Model, tokens: float, kv_tokens: float) -> float:
    """One step through the model: `tokens` computed at once, `kv_tokens` of earlier ones read.

    max((weights + KV) / bandwidth, 2 · parameters · tokens / arithmetic rate). Attention's own arithmetic is left out.
    """
    moved = model.weight_bytes + kv_tokens * model.kv_bytes_per_token
    return max(moved / gpu.bytes_per_s, 2.0 * model.parameters * tokens / gpu.flop_per_s)


def decode_s(gpu: Gpu, model: Model, replies: int, auction: Auction) -> float:
    """`replies` at once, token by token: one step for each token, over a context that grows from prompt to whole."""
    context = auction.prompt + auction.reply / 2
    return auction.reply * step_s(gpu, model, replies, replies * context)


def plain_s(gpu: Gpu, model: Model, auction: Auction, at_once: int) -> float:
    """`at_once` queries answered without an auction: their prompts in one step, then one reply each."""
    return step_s(gpu, model, at_once * auction.prompt, 0) + decode_s(gpu, model, at_once, auction)


def auction_s(gpu: Gpu, model: Model, auction: Auction, at_once: int) -> float:
    """`at_once` auctions in step: all their replies are drawn together, then each candidate is scored 1 + N times.

    A prompt is computed once for all that is drawn after it (prefix cache); an auction has two. A scored sequence is
    computed whole: reading the cache is not exact there.
    """
    scored = at_once * auction.candidates * (1 + auction.advertisers) * (auction.prompt + auction.reply)
    prompts = step_s(gpu, model, 2 * at_once * auction.prompt, 0)
    drawn = decode_s(gpu, model, at_once * (auction.candidates + 1), auction)
    return prompts + drawn + step_s(gpu, model, scored, 0)


def most_replies(gpu: Gpu, model: Model, auction: Auction, utilization: float = 0.9) -> int:
    """How many whole sequences fit beside the weights into the share of memory that vLLM takes."""
    left = utilization * gpu.memory_bytes - model.weight_bytes
    return int(left / (model.kv_bytes_per_token * (auction.prompt + auction.reply)))


def rows(auction: Auction) -> Iterator[str]:
    """A row for each GPU and concurrency; a dash where the sequences do not fit into memory."""
    for gpu in GPUS:
        fit = most_replies(gpu, MODEL, auction)
        for at_once in CONCURRENCY:
            plain, whole = plain_s(gpu, MODEL, auction, at_once), auction_s(gpu, MODEL, auction, at_once)
            shown = f"{plain:.2f} s | {whole:.2f} s | {whole / plain:.1f} | {at_once / whole:.1f}"
            fits = at_once * (auction.candidates + 1) <= fit
            yield f"| {gpu.name} | {fit} | {at_once} | {shown if fits else '– | – | – | –'} |"


def table() -> str:
    """The Markdown table of engines.md."""
    names = (
        "GPU",
        "sequences that fit",
        "queries at once",
        "plain",
        "auctions",
        "auction ÷ plain",
        "auctions a second",
    )
    head = f"| {' | '.join(names)} |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows(Auction())])


if __name__ == "__main__":
    print(table())
