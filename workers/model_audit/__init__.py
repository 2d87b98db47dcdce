"""A sample of auctions asked of a model again: whether it draws the same replies, and gives them the same numbers.

The audit (workers/audit) shows that replies and bills follow from the logged numbers. This shows that the numbers come
from the model that the log names, on as many auctions as somebody has time for. It uses the project's engines and the
wording of its prompts, and nothing of generation and scoring: requests, digests and comparisons are its own.
"""
