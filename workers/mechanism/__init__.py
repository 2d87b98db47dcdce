"""The mechanism as pure functions over arrays: allocation, payments, draw. No I/O, no clock, no global generator.

Source: "Truthful Aggregation of LLMs with an Application to Online Advertising" (arXiv 2405.05905).

Letters, shapes and units used throughout:

    M         candidates of one auction, index j, in the order they were numbered
    N         advertisers that take part, index i
    log_q     [M]     log-probability under the density the candidates were drawn from, nats
    log_ref   [M]     log-probability under the reference model, nats
    rewards   [N, M]  what candidate j is worth to advertiser i, currency micros
    tau       scalar  weight of the reference model, micros per nat
    log_pi    [M]     log of the allocation π
    log_pi_without [N, M]  log of π₋ᵢ: the same auction without advertiser i

All arithmetic is float64 and in log space.
"""
