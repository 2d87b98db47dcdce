"""What a worker tells Prometheus of each advertiser's own model: who was asked, how it ended, who is left out."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from workers.rewards.observing import CallOutcome

DURATION_BUCKETS_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class OwnModelMetrics:
    """On `registry`; labels are the engines of the file of choices, at most 64, and closed sets: never advertisers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "auction_own_model_calls",
            "Auctions in which an own model was due: answered, or why not (skipped: its breaker is open).",
            ("model", "outcome"),
            registry=registry,
        )
        self._slow = Counter(
            "auction_own_model_slow",
            "Calls of an own model that took over half of the time it is judged by; four of twelve open its breaker.",
            ("model",),
            registry=registry,
        )
        self._duration = Histogram(
            "auction_own_model_duration_seconds",
            "One call of an own model, or what was waited for it.",
            ("model",),
            buckets=DURATION_BUCKETS_S,
            registry=registry,
        )
        self._breakers = Gauge(
            "auction_own_model_breakers_open",
            "Advertisers on this model that abstain for now, since it failed or was slow.",
            ("model",),
            registry=registry,
        )

    def own_model(self, model: str) -> None:
        for outcome in CallOutcome:
            self._calls.labels(model, outcome)
        for family in (self._slow, self._duration, self._breakers):
            family.labels(model)

    def own_model_asked(self, model: str, outcome: CallOutcome, duration_s: float, *, slow: bool) -> None:
        self._calls.labels(model, outcome).inc()
        self._duration.labels(model).observe(duration_s)
        self._slow.labels(model).inc(slow)

    def own_model_skipped(self, model: str) -> None:
        self._calls.labels(model, CallOutcome.SKIPPED).inc()

    def own_model_breakers(self, model: str, change: int) -> None:
        self._breakers.labels(model).inc(change)
