"""What a server must show before it is an engine; what it cannot promise is refused, with the reason.

It does not say how many token ids its model knows; the config.json beside its tokenizer does.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workers.engines.base import Prompt, Reply
from workers.engines.calls import all_of
from workers.engines.openai_http.address import Address, parse_address
from workers.engines.openai_http.client import Client, Failing, Misdirected
from workers.engines.openai_http.completions import drawing, scoring
from workers.engines.openai_http.drift import Baseline, Watch
from workers.engines.openai_http.engine import HttpEngine, HttpScorer
from workers.engines.openai_http.models import Card, Served, adapters_of, chosen, listed, served
from workers.engines.openai_http.response import Unusable, most_bytes
from workers.engines.options import EngineOptions
from workers.engines.tokenizer import ChatTokenizer
from workers.errors import EngineRejected, SettingsError

CONFIG = "config.json"
MAX_BYTES = 4 << 20
MAX_IDS = 1 << 24


def vocabulary_of(folder: Path, framing: ChatTokenizer) -> int:
    """`vocab_size` of the model's configuration in the tokenizer's folder; without it, the tokenizer's own count.

    Models pad their vocabularies, and in process vLLM counts the padding: so the same model is as large over HTTP.
    SettingsError: the file cannot be read, or the tokenizer knows more tokens.
    """
    path = folder / CONFIG
    size = _size(path) if path.exists() else None
    if size is None:
        return framing.vocabulary
    if type(size) is not int or not framing.vocabulary <= size <= MAX_IDS:
        raise SettingsError(
            f"{path} says vocab_size {str(size)[:20]!r}, but the tokenizer beside it knows {framing.vocabulary} tokens "
            f"and no model more than {MAX_IDS}: use the folder that the server's model came with"
        )
    return size


def _size(path: Path) -> Any:
    """What the file says; models that take more than text have a part for it."""
    config = _config(path)
    part = config.get("text_config")
    return config.get("vocab_size", part.get("vocab_size") if isinstance(part, dict) else None)


def _config(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        config = json.loads(content) if len(content) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path} cannot be read: {str(error)[:200]}") from None
    if not isinstance(config, dict):
        raise SettingsError(f"{path} is no model's configuration: no JSON object of at most {MAX_BYTES} bytes")
    return config


#: Texts on which tokenizers differ: blanks, digits, quotes, accents spelled twice, scripts, emoji, control characters.
AWKWARD = (
    "How do I bake cookies?",
    "  two  blanks\tand\n\n\nlines ",
    "1234567890 3.14159 1,000,000 0x1F",
    "don’t “quote” 'it' — or…",
    "café cafe\u0301 Zürich ﬁ ½ Å",
    "日本語 한국어 العربية עברית हिन्दी ไทย",
    "🌱👩‍👩‍👧‍👦🇨🇭 \x00\x7f\u200b\ufeff",
    "def f(x):\n    return x**2  # {}[]<>|\\",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
)
QUESTION = "What can I do with a free afternoon?"
ANSWER = "Read a book, bake bread, or go for a walk."
REPLIES, TOKENS = 8, 32  # that are drawn and scored, to see whether the numbers agree
MEAN_NATS = 5e-3  # per token over all of them: 16-bit arithmetic errs to both sides, another temperature to one
REPLY_NATS = 0.02  # per token of one reply


async def open_http(name: str, options: EngineOptions) -> HttpEngine:
    """The engine named `http://HOST:PORT#MODEL`.

    SettingsError: the server cannot be what an engine must be. EngineUnavailable, EngineTimeout: it does not answer.
    """
    address = parse_address(name)
    http = options.http
    if not (http.api_key.isascii() and http.api_key.isprintable()):  # a message about the header would show it
        raise SettingsError("TESSERA_ENGINE_API_KEY has a line break or another character that no header can have")
    client = Client(address.url, api_key=http.api_key, concurrency=http.concurrency, timeout_s=options.timeout_s)
    try:
        return await _opened(client, address, options)
    except BaseException as error:
        await client.close()
        if isinstance(error, EngineRejected | Unusable | Misdirected) and not isinstance(error, Failing):
            raise SettingsError(f"{address.url} cannot be used as an engine: {error}") from error
        raise


async def _opened(client: Client, address: Address, options: EngineOptions) -> HttpEngine:
    version, cards = await listed(client)
    card = chosen(cards, address.url, address.model)
    framing, vocabulary = tokenizer_of(options.http.tokenizer, options.system)
    await check_tokenizer(client, card.id, framing)
    models = [served(cards, one, version, framing.sha256, vocabulary) for one in (card, *adapters_of(cards, card))]
    bare = HttpEngine(client, models[0], framing)
    await _check_numbers(bare, framing.encode(QUESTION), framing.plain(ANSWER))
    scores = await _separate_scores(client, models, framing)

    def watch(model: Served) -> Watch:
        return Watch(client, _known(version, cards[model.name], model, framing, scores[model.name]))

    adapters = {one.name: HttpScorer(client, one, framing, watch(one)) for one in models[1:]}
    return HttpEngine(client, models[0], framing, watch(models[0]), adapters)


def _known(version: str, card: Card, model: Served, framing: ChatTokenizer, score: float) -> Baseline:
    prompt, answer = framing.encode(QUESTION), framing.plain(ANSWER)
    drawn = drawing(card.id, prompt, 1, 1, model.limits)
    return Baseline(version, card, drawn, scoring(card.id, prompt, answer), score, REPLY_NATS * len(answer))


def tokenizer_of(folder: str, system: str = "") -> tuple[ChatTokenizer, int]:
    """The tokenizer in TESSERA_ENGINE_TOKENIZER, and how many ids its model knows. SettingsError: there is none."""
    if not folder:
        raise SettingsError(
            "TESSERA_ENGINE_TOKENIZER is not set (nor, in the rewards file, tokenizer): an engine over HTTP "
            "needs the folder with its model's tokenizer.json and chat template on this machine"
        )
    path = Path(folder).expanduser()
    framing = ChatTokenizer(path, system)
    return framing, vocabulary_of(path, framing)


async def check_tokenizer(client: Client, model: str, framing: ChatTokenizer) -> None:
    """SettingsError: the server makes other tokens of a text than the tokenizer here."""
    expected = {text: framing.plain(text) for text in AWKWARD} | framing.frame
    for text, ids in expected.items():
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        if text and await client.post("/tokenize", body, _tokens, most_bytes(tokens=len(text))) != ids:
            raise SettingsError(
                f"TESSERA_ENGINE_TOKENIZER (in the rewards file, tokenizer) is not the tokenizer of {model!r} at "
                f"{client.url}: they differ on {text!r}. Use the tokenizer.json and "
                "chat template that the server's model came with"
            )


def _tokens(document: Any) -> Prompt:
    tokens = document.get("tokens") if isinstance(document, dict) else None
    if not isinstance(tokens, list):
        raise Unusable("/tokenize does not return tokens")
    return tuple(tokens)


async def _check_numbers(engine: HttpEngine, prompt: Prompt, answer: Prompt) -> None:
    """SettingsError: what tokens are drawn with is not what the model gives them."""
    last = engine.limits.vocabulary - 1
    replies = await engine.sample(prompt, seeds=range(1, REPLIES + 1), max_tokens=TOKENS)
    # rejected: the model knows fewer tokens
    await engine.log_probs(prompt, [Reply(ids, "", 0.0, False) for ids in (answer, (last,))])
    gaps = np.array([reply.log_q for reply in replies]) - await engine.log_probs(prompt, replies)
    lengths = np.array([len(reply.token_ids) for reply in replies])
    if abs(gaps.sum()) > MEAN_NATS * lengths.sum() or (np.abs(gaps) > REPLY_NATS * lengths).any():
        raise SettingsError(
            f"the server draws tokens with other log-probabilities than its model gives them: {gaps.sum():.4g} nats "
            f"apart over {lengths.sum()} tokens. Start it with --logprobs-mode processed_logprobs "
            "--generation-config vllm, and without anything that changes logits"
        )


async def _separate_scores(client: Client, models: Sequence[Served], framing: ChatTokenizer) -> Mapping[str, float]:
    """The log-probability of ANSWER in each of the models, nats, scored alone.

    SettingsError: scored together, replies get another adapter's (vLLM's CPU build can do that).
    """
    prompt, answer = framing.encode(QUESTION), framing.plain(ANSWER)
    wanted = [scoring(model.name, prompt, answer) for model in models]
    alone = [await request.sent(client) for request in wanted]
    together = await all_of(request.sent(client) for request in wanted * 2) if len(wanted) > 1 else alone * 2
    gap = np.abs(np.subtract(together, alone * 2)).max()
    if gap > REPLY_NATS * len(answer):
        raise SettingsError(
            f"the server mixes up LoRA adapters: a reply's log-probability is off by {gap:.3g} nats when others "
            "are scored beside it. Start it with --max-loras above the number of adapters, or serve them apart"
        )
    return {model.name: score for model, score in zip(models, alone, strict=True)}
