"""What must hold of everything the topics store, checked by code of its own.

Records in, a report out: `verifier.Verification` takes the committed records of NAMES one by one, in any order between
partitions; `campaign_faults.py` beside it checks a campaign's own files. Pure: no Kafka and no clock.
Charges, bills and draws are recomputed by `workers.audit`. With the workers it shares the event formats, and two small
modules with tests of their own: `id_set` (the table of ids) and `redrive` (what a dead letter says).

A *place* is a record's topic, partition and offset. A *query record* is any record of the query topic, also one that
nobody can read. Its auction's id derives from its place and its query id, so the outcome of each query can be told.
"""
