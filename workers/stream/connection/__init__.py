"""Connections to Kafka: clients, security, single requests, and what their errors mean."""
