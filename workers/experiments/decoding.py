"""What a wrong log q does to the limit law: candidates of one decoding, logged in three ways (mechanism/README §7).

As M grows, the mechanism's reply tends to the law ∝ q·exp(Σ r/τ)·π_ref/q̂, where q is what candidates are really drawn
from and q̂ what is logged as their probability. On a model whose replies can be listed, that limit needs no sampling.
"""

from dataclasses import dataclass

import numpy as np

from workers.experiments.enumerable import LOGGED, Decoding, Logged
from workers.experiments.figure import Advance, Figure, Table
from workers.experiments.market import Market, make_market, total_variation
from workers.mechanism.allocation import Floats

#: Total variation: the right log q leaves only rounding, a wrong one more than this.
MARGIN = 0.01

ROUNDING = 1e-12  # a distance below it is 0
DECODINGS = (
    Decoding(),
    Decoding(temperature=0.8),
    Decoding(temperature=1.2),
    Decoding(top_p=0.95),
    Decoding(temperature=0.8, top_p=0.95),
    Decoding(top_k=5),
    Decoding(temperature=0.8, top_k=5),
)
STEPS = len(DECODINGS)
COLUMNS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "logged": "logged as log q",
    "error": "TV to the target",
    "error_on_support": "TV to the target cut to what can be said",
    "lost": "target's mass that cannot be said",
}
PARAGRAPHS = (
    "The total variation (TV) between π* ∝ π_ref·exp(Σ r/τ) and the law that the mechanism's reply tends to as M "
    "grows, ∝ q·exp(Σ r/τ)·π_ref/q̂. Here q is the context-aware model as it is really sampled and q̂ is what is logged "
    "as its probability. Computed from the {replies:,} listed replies; nothing is sampled.",
    "**processed** is the log-probability under temperature and truncation, normalised: the density that produced the "
    "reply. **raw** is the model's own, before temperature and truncation. **divided** is raw divided by the "
    "temperature, as if a tempered model needed no new normaliser. At temperature 1 without truncation the three are "
    "one.",
    "A truncated decoding can never say some replies: whatever is logged, TV is at least the target's mass on them. "
    "With the processed log-probability the limit is the target cut to what can be said, and nothing else is wrong.",
)


@dataclass(frozen=True, slots=True)
class DecodingRow:
    """The limit law of one decoding with one way of logging."""

    decoding: Decoding
    logged: Logged
    error: float  # to the target
    error_on_support: float  # to the target cut to what the decoding can say
    lost: float  # the target's mass on what it cannot say

    def cells(self) -> tuple[str | int | float, ...]:
        """In the order of COLUMNS."""
        given = (self.decoding.temperature, self.decoding.top_p, self.decoding.top_k or "all", self.logged)
        return (*given, self.error, self.error_on_support, self.lost)


def limit_law(log_sampled: Floats, log_logged: Floats, log_target: Floats) -> Floats:
    """[R] log of the law the mechanism tends to when log_logged [R] is taken for the proposal's log_sampled [R].

    −inf in log_sampled: the reply is never drawn, and what is logged for it does not matter. ValueError: shapes differ.
    """
    if not log_sampled.shape == log_logged.shape == log_target.shape:
        raise ValueError("the three laws must be over the same replies")
    drawn = np.isfinite(log_sampled)
    scores = np.full_like(log_sampled, -np.inf)
    scores[drawn] = (log_sampled + log_target)[drawn] - log_logged[drawn]
    return np.asarray(scores - np.logaddexp.reduce(scores))


def limit_law_error(log_sampled: Floats, log_logged: Floats, log_target: Floats) -> float:
    """Total variation between the limit law and the target; more than MARGIN says that log q is not what was sampled.

    Without truncation it is 0 exactly when log_logged and log_sampled differ by a constant.
    """
    return total_variation(np.exp(limit_law(log_sampled, log_logged, log_target)), np.exp(log_target))


def logged_density(market: Market, decoding: Decoding, logged: Logged) -> Floats:
    """[R] what is written down for each reply of the context-aware model under `decoding`, nats."""
    model = market.context_aware
    if logged == "processed":
        return model.decoded(decoding).log_probs(market.replies)
    raw = model.log_probs(market.replies)
    return raw if logged == "raw" else raw / decoding.temperature


def measure(market: Market, decoding: Decoding, logged: Logged) -> DecodingRow:
    """One row of the table."""
    log_sampled = market.context_aware.decoded(decoding).log_probs(market.replies)
    log_logged = logged_density(market, decoding, logged)
    cut = np.where(np.isfinite(log_sampled), market.log_target, -np.inf)
    log_kept = float(np.logaddexp.reduce(cut))
    return DecodingRow(
        decoding,
        logged,
        error=limit_law_error(log_sampled, log_logged, market.log_target),
        error_on_support=limit_law_error(log_sampled, log_logged, cut - log_kept),
        lost=max(0.0, -float(np.expm1(log_kept))),
    )


def run(seed: int, advance: Advance) -> Figure:
    """The figure; `advance` is called once for each decoding."""
    market, rows = make_market(seed), []
    for decoding in DECODINGS:
        rows += [measure(market, decoding, logged) for logged in LOGGED]
        advance()
    table = Table("Error of the limit law", COLUMNS, tuple(row.cells() for row in rows))
    paragraphs = tuple(text.format(replies=len(market.replies)) for text in PARAGRAPHS)
    return Figure("Decoding, and what is logged about it", paragraphs, (table,), _findings(rows))


def _findings(rows: list[DecodingRow]) -> tuple[str, ...]:
    whole = [row for row in rows if not row.decoding.truncates]
    right = max(row.error for row in whole if row.logged == "processed")
    wrong = [row for row in whole if row.logged != "processed" and row.decoding.temperature != 1]
    worst, least = max(row.error for row in wrong), min(row.error for row in wrong)
    truncated = [row for row in rows if row.decoding.truncates]
    cut = max(row.error_on_support for row in truncated if row.logged == "processed")
    return (
        f"Without truncation the processed log-probability leaves {_bounded(right)} at any temperature; "
        f"raw or divided leave {least:.3f} to {worst:.3f} where the temperature is not 1.",
        f"With truncation every way of logging leaves at least {min(row.error for row in truncated):.3f}; the "
        f"processed one leaves {_bounded(cut)} to the target cut to what can be said.",
    )


def _bounded(distance: float) -> str:
    return f"less than {ROUNDING:.0e}" if distance < ROUNDING else f"{distance:.1e}"
