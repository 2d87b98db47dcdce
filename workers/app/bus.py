"""Kafka for commands that run no stage: they read, and some publish."""

from workers.operations.monitor import Monitor
from workers.settings import Settings
from workers.stream.kafka import KafkaBus


def bus_of(settings: Settings) -> KafkaBus:
    """A bus without stages."""
    return KafkaBus(settings, Monitor(stages=(), currency=settings.currency, engine="none"))
