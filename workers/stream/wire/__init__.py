"""Kafka as bytes: batches, their compression, names that are no UTF-8, and which partition a key belongs to."""
