"""Embeddings from a vLLM server started with `--runner pooling --convert embed`, or any that takes token ids."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.engines.base import Prompt, Reply, check_scoring
from workers.engines.calls import all_of
from workers.engines.openai_http.address import parse_address
from workers.engines.openai_http.client import Client, Failing, Misdirected
from workers.engines.openai_http.models import Served, chosen, listed, served
from workers.engines.openai_http.open import QUESTION, check_tokenizer, tokenizer_of
from workers.engines.openai_http.response import Unusable, most_bytes
from workers.engines.options import EngineOptions
from workers.engines.tokenizer import ChatTokenizer
from workers.errors import EngineRejected, SettingsError

PATH = "/v1/embeddings"
REPLIES = 16  # in one request
MAX_DIMENSIONS = 65_536


class HttpEmbedder:
    """A model of the server behind `client`. `dimensions` is 0 until it is known."""

    def __init__(self, client: Client, model: Served, framing: ChatTokenizer, dimensions: int = 0) -> None:
        self._client, self._name, self._framing = client, model.name, framing
        self.identity, self.limits, self.dimensions = model.identity, model.limits, dimensions

    def encode(self, turn: str) -> Prompt:
        return self._framing.encode(turn)

    async def embed(self, prompt: Prompt, replies: Sequence[Reply]) -> NDArray[np.float64]:
        check_scoring(prompt, replies, self.limits)
        texts = [[*prompt, *reply.token_ids] for reply in replies]
        batches = [texts[first : first + REPLIES] for first in range(0, len(texts), REPLIES)]
        parts = await all_of(self._embedded(batch) for batch in batches)
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions))

    async def close(self) -> None:
        await self._client.close()

    async def measured(self, text: Prompt) -> int:
        """How many dimensions the server's embeddings have."""
        return int((await self._embedded([text])).shape[1])

    async def _embedded(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """[len(texts), dimensions]"""
        body = {"model": self._name, "input": texts, "encoding_format": "float"}
        limit_bytes = most_bytes(numbers=(self.dimensions or MAX_DIMENSIONS) * len(texts))
        return await self._client.post(
            PATH, body, lambda answer: _rows(answer, len(texts), self.dimensions), limit_bytes
        )


async def open_embeddings(name: str, options: EngineOptions) -> HttpEmbedder:
    """The embedder named `http://HOST:PORT#MODEL`.

    SettingsError: the server cannot be what an embedder must be. EngineUnavailable, EngineTimeout: it does not answer.
    """
    address, http = parse_address(name), options.http
    client = Client(address.url, api_key=http.api_key, concurrency=http.concurrency, timeout_s=options.timeout_s)
    try:
        version, cards = await listed(client)
        card = chosen(cards, address.url, address.model)
        framing, vocabulary = tokenizer_of(http.tokenizer, options.system)
        await check_tokenizer(client, card.id, framing)
        model = served(cards, card, version, framing.sha256, vocabulary)
        bare = HttpEmbedder(client, model, framing)
        return HttpEmbedder(client, model, framing, await bare.measured(framing.encode(QUESTION)))
    except BaseException as error:
        await client.close()
        if isinstance(error, EngineRejected | Unusable | Misdirected) and not isinstance(error, Failing):
            raise SettingsError(f"{address.url} gives no embeddings of token ids: {error}") from error
        raise


def _rows(answer: Any, count: int, dimensions: int) -> NDArray[np.float64]:
    """The embeddings in an answer. Unusable: one is missing, has another size, or is not finite.

    `dimensions` 0: any size, the same for all.
    """
    try:
        entries = sorted(answer["data"], key=lambda entry: entry["index"])
        rows = np.array([entry["embedding"] for entry in entries], np.float64)
    except (LookupError, TypeError, ValueError, OverflowError):
        raise Unusable(f"{PATH} does not return embeddings") from None
    expected = dimensions or (rows.shape[1] if rows.ndim == 2 else 0)
    if [entry["index"] for entry in entries] != list(range(count)) or rows.shape != (count, expected):
        raise Unusable(f"{PATH} returns an array of shape {rows.shape} for {count} texts of {expected} dimensions")
    if not 1 <= expected <= MAX_DIMENSIONS or not np.isfinite(rows).all():
        raise Unusable(f"{PATH} returns an embedding of {expected} dimensions, or one that is not finite")
    return rows
