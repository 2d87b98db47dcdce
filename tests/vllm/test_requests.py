"""What vLLM is asked and what its answers may be, for the runner that CPUs have and for the one that GPUs have."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.engines import bundled
from workers.errors import EngineGone, EngineUnavailable

pytestmark = pytest.mark.vllm

PROMPT, REPLY = (1, 3, 40, 41, 4), (50, 51, 2)


@pytest.fixture(scope="module")
def requests() -> Any:
    """Imported only where vLLM is."""
    bundled.need_vllm()
    from workers.engines.vllm_local import requests

    return requests


def suffix_output(rows: list[float] | None, cached: int = 0) -> Any:
    table = None if rows is None else np.array(rows, np.float32)[:, None]
    return SimpleNamespace(prompt_token_id_logprobs=table, num_cached_tokens=cached)


class Rows:
    """As vLLM's flat log-probabilities."""

    def __init__(self, logprobs: list[float]) -> None:
        self.logprobs = logprobs

    def __len__(self) -> int:
        return len(self.logprobs)


def prompt_output(rows: list[float], cached: int = 0) -> Any:
    return SimpleNamespace(prompt_logprobs=Rows(rows), num_cached_tokens=cached)


def test_a_reply_is_drawn_from_the_untruncated_distribution(requests: Any) -> None:
    asked = requests.drawing(2**63 - 1, 96)

    assert (asked.temperature, asked.top_p, asked.top_k, asked.min_p) == (1.0, 1.0, 0, 0.0)
    assert (asked.presence_penalty, asked.frequency_penalty, asked.repetition_penalty) == (0.0, 0.0, 1.0)
    assert (asked.n, asked.seed, asked.max_tokens, asked.logprobs) == (1, 2**63 - 1, 96, 0)
    assert not asked.detokenize


def test_the_v2_runner_is_asked_for_the_replys_rows_only(requests: Any) -> None:
    asked = requests.SuffixScoring().request(PROMPT, REPLY)

    assert asked.prompt_logprob_start == len(PROMPT) - 1
    assert asked.prompt_logprob_token_ids.tolist() == [[50], [51], [2]]
    assert asked.skip_reading_prefix_cache is True  # vLLM's own choice: we never set it
    assert asked.seed is None and asked.temperature == 1.0


def test_the_v2_runners_rows_are_summed_in_float64(requests: Any) -> None:
    nats = requests.SuffixScoring().nats(suffix_output([-1.5, -0.25, -2.0]), PROMPT, REPLY)

    assert nats == -3.75


@pytest.mark.parametrize("rows", [None, [-1.0, -1.0]])
def test_a_reply_that_v2_did_not_score_has_no_number(requests: Any, rows: list[float] | None) -> None:
    with pytest.raises(EngineUnavailable, match=r"scored a reply of 3 tokens with [02] log-prob"):
        requests.SuffixScoring().nats(suffix_output(rows), PROMPT, REPLY)


@pytest.mark.parametrize("rows", [None, [-1.0, -1.0], [-1.0] * 4])
def test_a_drawn_reply_has_a_log_probability_for_each_token(requests: Any, rows: list[float] | None) -> None:
    def drawn(rows: list[float] | None) -> Any:
        return SimpleNamespace(token_ids=list(REPLY), logprobs=None if rows is None else Rows(rows))

    assert requests.drawn_nats(drawn([-1.0, -2.0, -3.0])) == -6.0
    with pytest.raises(EngineUnavailable, match="drew a reply of 3 tokens"):
        requests.drawn_nats(drawn(rows))


def test_the_v2_runner_reads_the_prompt_from_its_prefix_cache_but_no_row_of_the_reply(requests: Any) -> None:
    scoring = requests.SuffixScoring()

    assert scoring.nats(suffix_output([-1.0, -1.0, -1.0], cached=len(PROMPT) - 1), PROMPT, REPLY) == -3.0
    with pytest.raises(EngineGone, match="prefix cache"):
        scoring.nats(suffix_output([-1.0, -1.0, -1.0], cached=len(PROMPT)), PROMPT, REPLY)


def test_the_v1_runner_reads_nothing_from_its_prefix_cache(requests: Any) -> None:
    scoring, rows = requests.PromptScoring(), [-9.0] * len(PROMPT) + [-1.0, -2.0, -3.0]

    assert scoring.nats(prompt_output(rows), PROMPT, REPLY) == -6.0
    with pytest.raises(EngineGone, match="prefix cache"):
        scoring.nats(prompt_output(rows, cached=1), PROMPT, REPLY)
    with pytest.raises(EngineUnavailable):
        scoring.nats(prompt_output(rows[1:]), PROMPT, REPLY)
