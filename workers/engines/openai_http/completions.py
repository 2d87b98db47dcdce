"""What is asked of `/v1/completions`, in one place, and what its answers must look like.

A server ignores fields that it does not know, without a word. So each is spelled here once, under the contract test,
and what they ask for is looked for in every answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from workers.engines.base import Limits, Prompt
from workers.engines.log_probs import ROUNDING, total
from workers.engines.openai_http.client import Client, Read
from workers.engines.openai_http.response import Unusable, most_bytes, one_line

PATH = "/v1/completions"
ZERO = -9999.0  # what vLLM writes for a probability of 0, and for NaN

Drawn = tuple[tuple[int, ...], float, bool]  # ids, their log-probability in nats, finished
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """A body, and how what is wanted is read from the answer."""

    body: dict[str, Any]
    read: Read[T]

    async def sent(self, client: Client, *, ahead: bool = False) -> T:
        """What is wanted. Raises as Client.post does. Some of an answer is about the tokens of the prompt too."""
        limit_bytes = most_bytes(tokens=len(self.body["prompt"]) + self.body["max_tokens"])
        return await client.post(PATH, self.body, self.read, limit_bytes, ahead=ahead)


def drawing(model: str, prompt: Prompt, max_tokens: int, seed: int, limits: Limits) -> Request[Drawn]:
    """Of one reply."""
    body = sampling_body(model, prompt, max_tokens, seed)
    return Request(body, lambda answer: drawn_reply(answer, max_tokens, limits))


def scoring(model: str, prompt: Prompt, reply: Sequence[int]) -> Request[float]:
    """Of one reply: its log-probability, nats."""
    return Request(scoring_body(model, prompt, reply), lambda answer: scored_reply(answer, prompt, reply))


def _body(model: str, prompt: Sequence[int], max_tokens: int) -> dict[str, Any]:
    """The model's own distribution; what is not said here a server takes from the model's generation_config."""
    return {
        "model": model,
        "prompt": prompt,
        "max_tokens": max_tokens,
        "n": 1,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "add_special_tokens": False,
        "stream": False,
    }


def sampling_body(model: str, prompt: Prompt, max_tokens: int, seed: int) -> dict[str, Any]:
    """The request that draws one reply, with the log-probabilities of its tokens."""
    return _body(model, prompt, max_tokens) | {"seed": seed, "logprobs": 0, "return_token_ids": True}


def scoring_body(model: str, prompt: Prompt, reply: Sequence[int]) -> dict[str, Any]:
    """The request that scores one reply: it stands in the prompt, whose log-probabilities are asked for."""
    return _body(model, [*prompt, *reply], 1) | {"prompt_logprobs": 0}


def drawn_reply(document: Any, max_tokens: int, limits: Limits) -> Drawn:
    """The reply in an answer. Unusable: it is not there, or not as asked for."""
    choice = _choice(document)
    ids, reason = choice.get("token_ids"), choice.get("finish_reason")
    if not isinstance(ids, list):
        raise Unusable("the server does not return the ids of the tokens it draws (return_token_ids)")
    if not all(type(one) is int and 0 <= one < limits.vocabulary for one in ids):
        raise Unusable(f"a drawn token is outside the vocabulary of {limits.vocabulary}")
    if not 1 <= len(ids) <= max_tokens or reason not in ("stop", "length"):
        ended = one_line(repr(reason))
        raise Unusable(f"a reply of {len(ids)} tokens ended by {ended}, where at most {max_tokens} were asked for")
    if reason == "length" and len(ids) < max_tokens:
        raise Unusable(f"a reply was cut after {len(ids)} of {max_tokens} tokens")
    return tuple(ids), _sum(_looked_up(lambda: choice["logprobs"]["token_logprobs"]), len(ids)), reason == "stop"


def scored_reply(document: Any, prompt: Prompt, reply: Sequence[int]) -> float:
    """The log-probability of the reply's ids, nats. Unusable: it is not there for each of them."""
    rows = _choice(document).get("prompt_logprobs")
    if not isinstance(rows, list) or len(rows) != len(prompt) + len(reply):
        raise Unusable("the server does not return a log-probability for each token of the prompt (prompt_logprobs)")
    tail = rows[len(prompt) :]
    return _sum(
        _looked_up(lambda: [row[str(one)]["logprob"] for row, one in zip(tail, reply, strict=True)]), len(reply)
    )


def _choice(document: Any) -> dict[str, Any]:
    choice = _looked_up(lambda: document["choices"][0])
    if not isinstance(choice, dict) or len(document["choices"]) != 1:
        raise Unusable("an answer does not have exactly one choice")
    return choice


def _looked_up(look: Callable[[], T]) -> T:
    try:
        return look()
    except (LookupError, TypeError):
        raise Unusable("an answer has no log-probabilities where vLLM has them") from None


def _sum(log_probabilities: Any, count: int) -> float:
    """Exact float64 sum, at most 0. Unusable: not `count` logarithms of probabilities."""
    if not isinstance(log_probabilities, list) or len(log_probabilities) != count:
        raise Unusable(f"an answer does not have {count} log-probabilities for {count} tokens")
    if not all(type(one) in (int, float) and ZERO < one <= ROUNDING for one in log_probabilities):  # NaN is not
        raise Unusable("a log-probability is above 0, or not a number, or that of the impossible")
    return total(log_probabilities)
