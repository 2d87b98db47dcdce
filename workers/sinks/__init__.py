"""Copies of topics that others join and query: each record once, whatever dies in between."""
