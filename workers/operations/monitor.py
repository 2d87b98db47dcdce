"""What a process knows of itself: its metrics and its health, fed by the bus."""

from collections.abc import Sequence

from workers.operations.draw_key_metrics import DrawKeyMetrics
from workers.operations.engine_metrics import EngineMetrics
from workers.operations.health import Health
from workers.operations.metrics import Metrics, utc_now
from workers.operations.own_model_metrics import OwnModelMetrics


class Monitor(Metrics):
    """The observer of a bus. A stage is ready when it owns partitions and all of them are open."""

    def __init__(self, *, stages: Sequence[str], currency: str, engine: str) -> None:
        super().__init__(stages=stages, currency=currency, engine=engine)
        self.engines = EngineMetrics(self.registry)
        self.own_models = OwnModelMetrics(self.registry)
        self.draw_keys = DrawKeyMetrics(self.registry, utc_now)
        self.health = Health([f"stage {stage}" for stage in stages])

    def assigned(self, stage: str, ready: bool) -> None:
        self.health.ready(f"stage {stage}", ready)

    def engine_down(self, stage: str, is_down: bool) -> None:
        super().engine_down(stage, is_down)
        self.health.ready(f"engine of {stage}", not is_down)

    def kafka_down(self, stage: str, is_down: bool) -> None:
        super().kafka_down(stage, is_down)
        self.health.ready(f"Kafka for stage {stage}", not is_down)
