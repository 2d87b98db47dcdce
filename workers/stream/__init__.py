"""Topics in and out: the only folder that knows Kafka. `memory.py` is its twin without one."""
