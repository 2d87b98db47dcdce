"""Log-probabilities of tokens become that of their reply, unless they are not such."""

import math
from collections.abc import Sequence

from workers.errors import EngineRejected, NotANumber

ROUNDING = 1e-4  # by which float32 may lift the logarithm of a probability above 0


def total(log_probabilities: Sequence[float]) -> float:
    """Exact float64 sum, nats, at most 0: rounding above it is cut.

    NotANumber: one is not a number or above what rounding explains, so that no number of this model can be used.
    EngineRejected: one is that of the impossible, and the reply has no log-probability.
    """
    if not all(one <= ROUNDING for one in log_probabilities):  # NaN is not
        raise NotANumber(
            "a token's log-probability is above 0 or not a number; no score of this model can be trusted. Weights are "
            "damaged (fetch them again), or 16-bit numbers overflow (TESSERA_VLLM_DTYPE=bfloat16 or float32)"
        )
    if -math.inf in log_probabilities:
        raise EngineRejected("a token of the reply has probability 0 in this model; the reply cannot be scored")
    return min(0.0, math.fsum(log_probabilities))
