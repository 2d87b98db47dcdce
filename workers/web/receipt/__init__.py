"""A receipt as a page."""
