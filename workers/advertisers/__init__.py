"""Advertisers: their registry, and who of them may bid on a query."""
