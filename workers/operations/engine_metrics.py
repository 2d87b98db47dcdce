"""What a worker tells Prometheus of the models that it asks."""

from typing import get_args

from prometheus_client import CollectorRegistry, Counter

from workers.engines.observed import EngineResult, Verb


class EngineMetrics:
    """On `registry`; the label `engine` is a name of the settings, of which a process has two at most."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "auction_engine_requests",
            "Calls of a stage's engine that ended; one may draw or score many replies.",
            ("engine", "verb", "result"),
            registry=registry,
        )
        self._tokens = Counter(
            "auction_engine_tokens",
            "Tokens of replies that an engine drew (sample) or scored (log_probs).",
            ("engine", "verb"),
            registry=registry,
        )

    def engine(self, name: str) -> None:
        """There is such an engine; its series start at 0."""
        for verb in get_args(Verb):
            self._tokens.labels(name, verb)
            for result in EngineResult:
                self._requests.labels(name, verb, result)

    def engine_asked(self, engine: str, verb: Verb, result: EngineResult, tokens: int) -> None:
        self._requests.labels(engine, verb, result).inc()
        self._tokens.labels(engine, verb).inc(tokens)
