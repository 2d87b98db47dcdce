"""The deduplication state of one partition: which query ids were settled, on local disk and restored from Kafka.

The topic that a stage remembers in is the changelog and the only truth. A `Store` (store.py) is a copy of one partition
of it with a checkpoint; `Restore` (restore.py) brings the copy up to the changelog's end: from the checkpoint where the
log still is the one that the store has followed, otherwise from the beginning of the window. Only what was read back
from the committed changelog enters a store. Why it is done so: infra/decisions/0014.
"""
