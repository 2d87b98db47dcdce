"""Run many auctions and print the table of the paper's orderings."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields

import numpy as np

from .auctions import BLOCK, Key, Outcome, Run, instances, run_block
from .sampler import Files
from .tables import Array, cell, head, row

TITLES = (
    "candidates",
    "M",
    "log target",
    "reward",
    "revenue",
    "utility",
    "utility without offset",
    "absolute utility",
    "Pearson with / without offset",
    "slope, R2 with / without",
    "exact reward",
    "exact utility",
    "exact Pearson",
    "effective sample",
    "names an advertiser",
)
#: Differences of mean log target worth a standard error (("proxy", 0): mean log pi_ref).
CONTRASTS: tuple[tuple[Key, Key], ...] = (
    (("con", 4), ("ref", 20)),
    (("con", 10), ("ref", 20)),
    (("con", 20), ("ref", 20)),
    (("con", 20), ("con", 10)),
    (("ref", 20), ("ref", 4)),
    (("con", 20), ("proxy", 0)),
)


def line_fit(x: Array, y: Array) -> tuple[str, str]:
    """Pearson correlation; slope and R squared of y on x."""
    if x.std() < 1e-9 or y.std() < 1e-9:
        return "-", "-, -"
    pearson = float(np.corrcoef(x, y)[0, 1])
    return f"{pearson:.2f}", f"{pearson * y.std() / x.std():.2f}, {pearson**2:.2f}"


def _columns(runs: list[Run], key: Key) -> dict[str, Array]:
    """Every field of ``Outcome`` over both advertisers of all auctions, [2 K]."""
    flat = [outcome for run in runs for outcome in run.settled[key].outcomes]
    return {field.name: np.array([getattr(outcome, field.name) for outcome in flat]) for field in fields(Outcome)}


def report(runs: list[Run], key: Key) -> str:
    """Row of the table for one candidate source and one M."""
    queries, settled, column = [run.query for run in runs], [run.settled[key] for run in runs], _columns(runs, key)
    total = {name: values.reshape(len(runs), -1).sum(1) for name, values in column.items()}
    sums = [
        np.array([one.log_target for one in settled]),
        total["free"],
        total["payment"],
        total["free"] - total["payment"],
        total["free"] - total["payment_no_offset"],
        total["absolute"],
    ]
    exact = [total["exact"], total["exact"] - total["payment"]]
    last = [np.array([one.effective for one in settled]), np.array([one.named for one in settled])]
    (pearson, line), (pearson_exact, _) = (_fits(column, base) for base in ("free", "exact"))
    means, exact_means, last_means = ([cell(values, queries) for values in part] for part in (sums, exact, last))
    return row([*key, *means, pearson, line, *exact_means, pearson_exact, *last_means])


def _fits(column: dict[str, Array], base: str) -> tuple[str, str]:
    """Utility on reward, with and without offset: correlations; slopes and R squared."""
    fits = [line_fit(column[base], column[base] - column[name]) for name in ("payment", "payment_no_offset")]
    return f"{fits[0][0]} / {fits[1][0]}", f"{fits[0][1]} / {fits[1][1]}"


def auctions(files: Files, count: int, seed: int, threads: int) -> None:
    """Run the auctions and print all of it."""
    cases = instances(count, seed)
    blocks = [cases[start : start + BLOCK] for start in range(0, len(cases), BLOCK)]
    number = len(blocks)
    with ProcessPoolExecutor(threads) as pool:
        parts = pool.map(run_block, [files] * number, [seed] * number, range(number), blocks)
        runs = [run for part in parts for run in part]
    queries = [run.query for run in runs]
    print(f"{len(runs)} auctions, {len(set(queries))} questions")
    print("proxy (mean log pi_ref of reference replies):", cell([run.proxy for run in runs], queries))
    print("share of the advertisers a context-aware reply names:", cell([run.mentions for run in runs], queries))
    print("share of reference replies that name one:", cell([run.stray for run in runs], queries, 4))
    print(head(TITLES), *(report(runs, key) for key in runs[0].settled), sep="\n")
    logs = {key: np.array([run.settled[key].log_target for run in runs]) for key in runs[0].settled}
    logs["proxy", 0] = np.array([run.proxy for run in runs])
    for left, right in CONTRASTS:
        difference = cell(logs[left] - logs[right], queries)
        print(f"log target, {left[0]} M={left[1]} minus {right[0]} M={right[1]}: {difference}")
