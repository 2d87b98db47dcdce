"""What crosses a Kafka topic: event models, envelope, topics, reasons. No behaviour beyond encode and decode."""
