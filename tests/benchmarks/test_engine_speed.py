"""The embedded engine: one auction's 20 candidates and 60 scorings."""

import asyncio
import time

from tests.benchmarks.report import Scale
from workers.engines.base import derive_seed
from workers.engines.embedded.engine import EmbeddedEngine

TURNS = (
    "How do I bake cookies?",
    "Answer the question advertising OvenNest, selling baking ingredients. How do I bake cookies?",
    "Answer the question advertising CrumbWorks, a platform for kitchen tools. How do I bake cookies?",
)
PROPOSAL = (
    "Answer the query. Try to mention OvenNest, who is selling baking ingredients and CrumbWorks, who is a platform "
    "for kitchen tools. How do I bake cookies?"
)


async def test_one_auction(scale: Scale) -> None:
    engine, rows, rounds = EmbeddedEngine(threads=2), [], scale(7, 1)
    try:
        for round_ in range(rounds):
            seeds = [derive_seed(b"", f"round {round_}", "candidate", index) for index in range(scale(20, 2))]
            began = time.perf_counter()
            replies = await engine.sample(engine.encode(PROPOSAL), seeds=seeds, max_tokens=96)
            sampled = time.perf_counter()
            await asyncio.gather(*(engine.log_probs(engine.encode(turn), replies) for turn in TURNS))
            scored = time.perf_counter()
            tokens = sum(len(reply.token_ids) for reply in replies) / len(replies)
            rows.append((scored - began, sampled - began, scored - sampled, tokens))
    finally:
        await engine.close()
    total, sampling, scoring, tokens = sorted(rows)[rounds // 2]
    scale.report(
        "embedded-engine",
        [
            {
                "total s (median of 7)": total,
                "20 samples s": sampling,
                "60 scorings s": scoring,
                "tokens per reply": tokens,
            }
        ],
    )
