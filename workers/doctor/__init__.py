"""Whether this machine, engine and Kafka are as the workers need them: what `tessera doctor` asks."""
