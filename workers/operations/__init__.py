"""What this worker tells those who run it: metrics, health, dead letters to redrive, the principals it needs."""
