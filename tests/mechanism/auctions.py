"""Auctions for properties: hypothesis draws the shape, the scales and the twists, numpy fills in the rest."""

import numpy as np
from hypothesis import strategies as st

from workers.mechanism.allocation import Numbers
from workers.truthfulness.random_auctions import TWISTS, Shape, fill


@st.composite
def auctions(
    draw: st.DrawFn,
    *,
    candidates: tuple[int, int] = (1, 24),
    advertisers: tuple[int, int] = (0, 6),
    tau_exponents: tuple[float, float] = (0.0, 6.0),
    nats_exponents: tuple[float, float] = (-3.0, 1.5),
) -> Numbers:
    """Rewards of τ·10**nats_exponents micros; ties, duplicates, −inf, constant and opposed bids are all common."""
    tau, nats = (10.0 ** draw(st.floats(*exponents)) for exponents in (tau_exponents, nats_exponents))
    shape = Shape(draw(st.integers(*candidates)), draw(st.integers(*advertisers)), tau, nats)
    twists = draw(st.lists(st.sampled_from(sorted(TWISTS)), max_size=3, unique=True))
    return fill(shape, [TWISTS[name] for name in twists], np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
