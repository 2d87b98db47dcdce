"""The roofline by hand, on figures that divide."""

from pathlib import Path

import pytest

from infra.roofline import GPUS, MODEL, Auction, Gpu, Model, auction_s, decode_s, most_replies, plain_s, step_s, table

GPU = Gpu("round", memory_bytes=10_000.0, bytes_per_s=100.0, flop_per_s=1_000.0)
TOY = Model("toy", parameters=500.0, layers=1, kv_heads=1, head_size=1)  # 1,000 bytes; 4 bytes of KV a token
SMALL = Auction(candidates=4, advertisers=1, prompt=10, reply=10)


def test_the_bytes_of_weights_and_of_the_kv_cache_worked_out_by_hand() -> None:
    assert TOY.weight_bytes == 1_000 and TOY.kv_bytes_per_token == 4
    assert MODEL.kv_bytes_per_token == 2 * 32 * 8 * 128 * 2


@pytest.mark.parametrize(
    ("tokens", "kv_tokens", "seconds"),
    [(1, 0, 10.0), (10, 0, 10.0), (20, 0, 20.0), (1, 250, 20.0)],  # weights; both; arithmetic; weights and KV
)
def test_a_step_takes_the_longer_of_bytes_and_arithmetic(tokens: int, kv_tokens: int, seconds: float) -> None:
    assert step_s(GPU, TOY, tokens, kv_tokens) == pytest.approx(seconds)


def test_decoding_is_a_step_for_each_token_over_half_the_reply() -> None:
    assert decode_s(GPU, TOY, 1, SMALL) == pytest.approx(10 * (1_000 + 15 * 4) / 100)


def test_an_auction_is_two_prompts_all_replies_at_once_and_the_scores() -> None:
    prompts = max(1_000 / 100, 2 * 500 * (2 * SMALL.prompt) / 1_000)
    replies = 10 * (1_000 + 5 * 15 * 4) / 100
    scores = 2 * 500 * (4 * 2 * 20) / 1_000

    assert auction_s(GPU, TOY, SMALL, 1) == pytest.approx(prompts + replies + scores)


def test_the_kv_cache_that_fits_beside_the_weights_worked_out_by_hand() -> None:
    assert most_replies(GPU, TOY, SMALL) == int((9_000 - 1_000) / (4 * 20))


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
def test_an_auction_costs_more_plain_replies_the_more_queries_there_are(gpu: Gpu) -> None:
    ratios = [auction_s(gpu, MODEL, Auction(), n) / plain_s(gpu, MODEL, Auction(), n) for n in (1, 4, 16, 64)]

    assert ratios == sorted(ratios) and ratios[0] < 3 < ratios[-1]


def test_the_table_of_the_document_is_current() -> None:
    document = (Path(__file__).parents[2] / "infra" / "engines.md").read_text(encoding="utf-8")

    assert table() in document, "run: python3 infra/roofline.py, and put its table into infra/engines.md"


def test_a_model_that_does_not_fit_has_no_figures() -> None:
    assert "| H100 SXM | 1111 | 64 | – | – | – | – |" in table()
