"""The paper's claims measured, one file per figure: no Kafka, no network, every random number from a given seed.

Letters used throughout, besides those of `workers.mechanism`:

    R         replies that a small model can give, index y: all of them
    V         tokens of its vocabulary; token 0 ends a reply
    L         the longest reply, tokens
    log_target [R]    log of the optimal law π*(y) ∝ π_ref(y)·exp(Σᵢ rᵢ(y)/τ), equation (2) of the paper
"""
