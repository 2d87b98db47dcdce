"""Receipts of sold auctions: from events to the two receipts, their recomputation, and a page a person can read."""
