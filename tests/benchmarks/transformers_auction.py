"""One auction's model work with plain Transformers: a batch of candidates is drawn, then scored under each context."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from workers.engines.base import Prompt


class TransformersAuction:
    """The model in `folder`, float32, with key-value cache and batches: Transformers at its best without a server."""

    def __init__(self, folder: Path) -> None:
        self._model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def hold(self, proposal: Prompt, contexts: Sequence[Prompt], candidates: int, max_tokens: int) -> torch.Tensor:
        """Log-probabilities [1 + contexts, candidates], nats; the first row is log q."""
        with torch.inference_mode():
            ids, log_q = self._draw(proposal, candidates, max_tokens)
            return torch.stack([log_q, *(self._score(prompt, ids) for prompt in contexts)])

    def _draw(self, prompt: Prompt, candidates: int, max_tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        drawn = self._model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            num_return_sequences=candidates,
            min_new_tokens=max_tokens,
            max_new_tokens=max_tokens,
            return_dict_in_generate=True,
            output_logits=True,
        )
        ids = drawn.sequences[:, len(prompt) :]
        rows = torch.log_softmax(torch.stack(drawn.logits, dim=1), dim=-1)
        return ids, _of(rows, ids)

    def _score(self, prompt: Prompt, ids: torch.Tensor) -> torch.Tensor:
        whole = torch.cat([torch.tensor([prompt]).expand(len(ids), -1), ids], dim=1)
        logits = self._model(whole, logits_to_keep=ids.shape[1] + 1).logits[:, :-1]
        return _of(torch.log_softmax(logits, dim=-1), ids)


def _of(rows: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    return rows.gather(2, ids[:, :, None])[:, :, 0].double().sum(dim=1)
