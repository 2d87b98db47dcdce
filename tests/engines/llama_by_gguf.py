"""A Llama as llama.cpp computes it, in numpy, from weights under the names and in the order of a GGUF file."""

from collections.abc import Mapping, Sequence

import numpy as np

ROPE_BASE, EPSILON = 10_000.0, 1e-5


class Llama:
    """`weights`: float arrays by their names in GGUF, queries and keys interleaved as in the file."""

    def __init__(self, weights: Mapping[str, np.ndarray], *, heads: int, kv_heads: int) -> None:
        self._weights, self._heads, self._kv_heads = weights, heads, kv_heads
        self._layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blk."))

    def log_prob(self, prompt: Sequence[int], reply: Sequence[int]) -> float:
        """Of the reply's tokens behind the prompt, nats."""
        logits = self.logits([*prompt, *reply])[len(prompt) - 1 : -1]
        shifted = logits - logits.max(-1, keepdims=True)
        rows = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        return float(rows[np.arange(len(reply)), list(reply)].sum())

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """[tokens, vocabulary]; the head is the embeddings'."""
        embeddings = self._weights["token_embd"].astype(np.float64)
        state = embeddings[list(tokens)]
        for layer in range(self._layers):
            state = state + self._attention(layer, self._normed(f"blk.{layer}.attn_norm", state))
            state = state + self._feed_forward(layer, self._normed(f"blk.{layer}.ffn_norm", state))
        return self._normed("output_norm", state) @ embeddings.T

    def _normed(self, name: str, state: np.ndarray) -> np.ndarray:
        return state / np.sqrt((state**2).mean(-1, keepdims=True) + EPSILON) * self._weights[name]

    def _feed_forward(self, layer: int, state: np.ndarray) -> np.ndarray:
        gate, up, down = (self._weights[f"blk.{layer}.ffn_{name}"] for name in ("gate", "up", "down"))
        gated = state @ gate.T
        return gated / (1 + np.exp(-gated)) * (state @ up.T) @ down.T

    def _attention(self, layer: int, state: np.ndarray) -> np.ndarray:
        query = turned(self._split(layer, "attn_q", state, self._heads))
        key, value = (self._split(layer, name, state, self._kv_heads) for name in ("attn_k", "attn_v"))
        key, value = (np.repeat(rows, self._heads // self._kv_heads, axis=1) for rows in (turned(key), value))
        scores = np.einsum("ihd,jhd->hij", query, key) / np.sqrt(query.shape[-1])
        scores = np.where(np.tri(len(state), dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = np.einsum("hij,jhd->ihd", weights / weights.sum(-1, keepdims=True), value)
        return mixed.reshape(len(state), -1) @ self._weights[f"blk.{layer}.attn_output"].T

    def _split(self, layer: int, name: str, state: np.ndarray, heads: int) -> np.ndarray:
        return (state @ self._weights[f"blk.{layer}.{name}"].T).reshape(len(state), heads, -1)


def turned(rows: np.ndarray) -> np.ndarray:
    """Each pair of neighbouring numbers turned by its position's angle; [tokens, heads, numbers]."""
    frequencies = ROPE_BASE ** (-np.arange(0, rows.shape[-1], 2) / rows.shape[-1])
    angles = (np.arange(len(rows))[:, None] * frequencies)[:, None]
    even, odd, cosine, sine = rows[..., 0::2], rows[..., 1::2], np.cos(angles), np.sin(angles)
    return np.stack([even * cosine - odd * sine, even * sine + odd * cosine], -1).reshape(rows.shape)
