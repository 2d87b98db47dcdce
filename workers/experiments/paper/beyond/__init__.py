"""Beyond the paper, on the same candidates: each file as in `figures`, with what we expect as its claim."""

CLAIM = "beyond"  # what the verdicts' first column says
ROUNDING = 1e-9  # nats: what is equal but for float64
