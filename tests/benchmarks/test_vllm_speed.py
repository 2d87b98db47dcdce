"""vLLM on this CPU: an auction against plain Transformers, an auction against a plain reply, and the front end's share.

In vLLM's environment: `.venv-vllm/bin/python -m pytest -m 'vllm and benchmark' -s tests/benchmarks/test_vllm_speed.py`.
One thread for the model on either side; ratios come from rounds that alternate.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.report import Scale
from tests.engines import bundled
from workers.engines.base import Engine, Prompt, Reply, derive_seed
from workers.engines.catalogue import open_engine
from workers.errors import MissingProgram

pytestmark = pytest.mark.vllm

MAX_TOKENS = 48
QUESTION = "How do I bake cookies?"
CONTEXTS = (
    QUESTION,
    "Answer the question advertising OvenNest, selling baking ingredients. How do I bake cookies?",
    "Answer the question advertising CrumbWorks, a platform for kitchen tools. How do I bake cookies?",
    "Answer the question advertising DoughDay, a school for bakers. How do I bake cookies?",
    "Answer the question advertising SugarPost, who delivers sweets. How do I bake cookies?",
)
PROPOSAL = (
    "Answer the query. Try to mention OvenNest, who is selling baking ingredients and CrumbWorks, who is a platform "
    "for kitchen tools. How do I bake cookies?"
)
TOKENS, REPLY_TOKENS = 190, 60  # of a scoring request, of them the reply's
GOAL_FRONT_END_MS = 0.6
GOAL_CONCURRENT = 1.5
GOAL_R2 = 0.95


@pytest.fixture(scope="module")
def folder(scale: Scale, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose own work is what costs; in the short form the bundled one."""
    pytest.importorskip("torch")
    if not scale.is_full:
        return bundled.FOLDER
    from tests.benchmarks.larger_model import write_larger_model

    return write_larger_model(tmp_path_factory.mktemp("larger"))


@pytest.fixture(scope="module")
def engine(scale: Scale, request: pytest.FixtureRequest) -> Engine:
    """Of that model: the session's, or one of its own."""
    opened: Engine = request.getfixturevalue("larger_engine" if scale.is_full else "vllm_engine")
    return opened


@pytest.fixture(scope="module")
async def larger_engine(folder: Path) -> AsyncIterator[Engine]:
    try:
        engine = await open_engine(f"vllm:{folder}", bundled.OPTIONS)
    except MissingProgram as missing:
        pytest.skip(str(missing))
    await auction(engine, "warm-up", 2, 1)
    yield engine
    await engine.close()


async def auction(engine: Engine, name: str, candidates: int, bidders: int) -> None:
    """`candidates` are drawn, then scored under the reference and each bidder's context."""
    replies = await engine.sample(engine.encode(PROPOSAL), seeds=seeds(name, candidates), max_tokens=MAX_TOKENS)
    contexts = [engine.encode(turn) for turn in CONTEXTS[: 1 + bidders]]
    await asyncio.gather(*(engine.log_probs(context, replies) for context in contexts))


async def plain_reply(engine: Engine, name: str) -> None:
    await engine.sample(engine.encode(QUESTION), seeds=seeds(name, 1), max_tokens=MAX_TOKENS)


def seeds(name: str, count: int) -> list[int]:
    return [derive_seed(b"", name, "candidate", index) for index in range(count)]


async def timed(work: Coroutine[Any, Any, object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def timed_call(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def test_an_auction_against_plain_transformers(scale: Scale, engine: Engine, folder: Path) -> None:
    import torch

    from tests.benchmarks.transformers_auction import TransformersAuction

    torch.set_num_threads(1)
    plain, candidates, rows = TransformersAuction(folder), scale(8, 2), []
    contexts: list[Prompt] = [engine.encode(turn) for turn in CONTEXTS[:3]]

    def one() -> None:
        plain.hold(engine.encode(PROPOSAL), contexts, candidates, MAX_TOKENS)

    one()
    for at_once in (1, 4):
        ours, theirs = [], []
        for round_ in range(scale(5, 1)):
            names = [f"{at_once} {round_} {index}" for index in range(at_once)]
            ours.append(await timed(all_at_once([auction(engine, name, candidates, 2) for name in names])))
            theirs.append(timed_call(lambda n=at_once: [one() for _ in range(n)]))  # type: ignore[misc]
        ratio = median(theirs) / median(ours)
        rows.append({"auctions at once": at_once, "vLLM s": median(ours), "Transformers s": median(theirs), "x": ratio})
    scale.report("vllm-against-transformers", rows)
    if scale.is_full:
        assert rows[0]["x"] > 1.0
        assert rows[1]["x"] >= GOAL_CONCURRENT


async def all_at_once(auctions: list[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*auctions)


async def test_what_an_auction_costs_in_plain_replies(scale: Scale, engine: Engine) -> None:
    """cost = a + b·M + c·M·(N + 1): M candidates are drawn and scored under N + 1 contexts; one query in flight."""
    cells = [(m, n) for m in scale((1, 4, 8, 16), (1, 2)) for n in scale((1, 2, 4), (1, 2))]
    spent: dict[tuple[int, int], list[float]] = {cell: [] for cell in cells}
    replies = []
    for round_ in range(scale(5, 1)):
        replies.append(await timed(plain_reply(engine, f"plain {round_}")))
        for m, n in cells:
            spent[m, n].append(await timed(auction(engine, f"{m} {n} {round_}", m, n)))
    cost = np.array([min(spent[cell]) for cell in cells]) / min(replies)  # the undisturbed rounds
    design = np.array([(1.0, m, m * (n + 1)) for m, n in cells])
    fitted, *_ = np.linalg.lstsq(design, cost, rcond=None)
    r2 = 1.0 - float(((design @ fitted - cost) ** 2).sum() / ((cost - cost.mean()) ** 2).sum())
    rows = [{"M": m, "N": n, "plain replies": float(one)} for (m, n), one in zip(cells, cost, strict=True)]
    scale.report("vllm-auction-cost", rows)
    names = ("constant", "per candidate", "per scoring", "R2")
    scale.report("vllm-auction-cost-fit", [dict(zip(names, (*map(float, fitted), r2), strict=True))])
    if scale.is_full:
        assert r2 >= GOAL_R2


async def test_the_front_ends_cpu_per_scoring(scale: Scale, vllm_engine: Engine) -> None:
    """CPU time of this process; the engine core is another one, and its model does not matter here: the bundled one."""
    rounds, scorings = scale((5, 300), (1, 2))
    prompt = tuple(5 + index % 2_000 for index in range(TOKENS - REPLY_TOKENS))
    replies = [
        Reply(tuple(5 + (7 * n + k) % 2_000 for k in range(REPLY_TOKENS)), "", 0.0, False) for n in range(scorings)
    ]
    await vllm_engine.log_probs(prompt, replies)
    spent_ms = []
    for _ in range(rounds):
        began = time.process_time()
        await vllm_engine.log_probs(prompt, replies)
        spent_ms.append((time.process_time() - began) * 1_000 / scorings)
    scale.report(
        "vllm-front-end", [{"tokens": TOKENS, "CPU ms per scoring (median)": median(spent_ms), "best": min(spent_ms)}]
    )
    if scale.is_full:
        assert median(spent_ms) <= GOAL_FRONT_END_MS
