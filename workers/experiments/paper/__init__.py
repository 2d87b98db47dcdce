"""The paper's evaluation (section 6, EC.3) measured again: 50 queries, two advertisers each, M from 1 to 20.

Sampling is done once and kept on disk (`sampling`, `store`); everything else is arithmetic over what was kept, one file
per figure in `figures/`. Units are nats with τ = 1, as in the paper: what a nat is worth in money plays no part here.

Letters used throughout, besides those of `workers.mechanism`:

    Q    queries of the instances        S    seeds of each query
    M    candidates; 20 are drawn, and M < 20 means the first M of them
    N    advertisers of a query: 2
"""
