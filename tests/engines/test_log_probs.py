"""What is no log-probability never becomes a reply's: not 0, and not a certain reply."""

import math
from typing import Any

import numpy as np
import pytest

from workers.engines.base import Reply
from workers.engines.embedded.engine import EmbeddedEngine
from workers.engines.log_probs import ROUNDING, total
from workers.errors import EngineGone, EngineRejected, NotANumber


def test_log_probabilities_are_summed_exactly_and_clipped_at_0() -> None:
    assert total([-1e16, -1.0, -1e-9]) == math.fsum([-1e16, -1.0, -1e-9])
    assert total([ROUNDING, ROUNDING / 2]) == 0.0
    assert total([]) == 0.0


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 2 * ROUNDING, 3.0])
@pytest.mark.parametrize("others", [[], [-5.0], [-math.inf]])
def test_a_nan_log_probability_is_an_error(wrong: float, others: list[float]) -> None:
    for values in ([wrong, *others], [*others, wrong]):
        with pytest.raises(NotANumber, match="fetch them again"):
            total(values)


def test_a_reply_of_probability_0_is_an_error() -> None:
    with pytest.raises(EngineRejected, match="probability 0"):
        total([-1.0, -math.inf])


async def test_the_embedded_engine_refuses_what_is_not_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def forward_batch(self, rows: list[list[int]], **_: Any) -> Any:
            return np.full((len(rows), max(map(len, rows)), 2_048), np.nan, np.float32)

    engine = EmbeddedEngine(threads=1)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_scorer", Broken())
        with pytest.raises(EngineGone):
            await engine.log_probs(engine.encode("x"), [Reply((50, 2), "", 0.0, True)])
        with pytest.raises(EngineGone):
            await engine.sample(engine.encode("x"), seeds=[1], max_tokens=3)
    await engine.close()
