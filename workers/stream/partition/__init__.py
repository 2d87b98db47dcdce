"""One input partition: its records in flight, its transactional producer, what it commits, restores and quarantines."""
