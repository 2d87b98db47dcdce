"""Topics in and out: the only folder that knows Kafka.

The guarantee
=============
Each record of a stage's input topic has exactly one outcome among committed records: its events, or one dead letter.
That holds whatever dies: workers, brokers, connections. What is published and the input position that it belongs to are
committed in one Kafka transaction, so a successor finds both or neither. Kafka transactions cannot know that a *query*
comes twice, as two records; settlement therefore also deduplicates by query id, and a query id is billed once.
At-least-once is what remains outside a transaction: a model may be asked twice about the same record.

How one input partition is worked on
====================================
A stage is a consumer group (`consumer.py`). Each input partition has a processor (`partition/processor.py`) and a
transactional id of its own, `GROUP.TOPIC.PARTITION`. The processor waits, for Kafka and for work; what it knows, and
what follows from it, is in `partition/state.py`, without any I/O. A partition's life has five steps, in this order:

1. **Open.** Fetching is paused. Starting a producer with the partition's transactional id fences every earlier owner
   and settles the transaction that it left open (`partition/producer.py`). Only then is the position read back from
   the stage's own log (`partition/position.py`) and the deduplication state restored (`deduplication/`). Then fetching
   goes on from there.
2. **Process.** Before anything else, the count of attempts is committed (`partition/crash_count.py`). Then up to
   `in_flight` records are worked on concurrently (`processing.py`), outside any transaction.
3. **Commit.** Finished results are published in one transaction (`partition/transaction.py`) together with the offset
   of the first unfinished record and, in the offset's metadata, which records beyond it are finished (`offsets.py`).
   The same transaction writes both into the stage's log of positions (`partition/position_log.py`).
   Metrics move after the commit, never before.
4. **Doubt.** An error or a lost answer leaves open whether a transaction was committed. The producer is discarded, and
   after a pause that grows the partition is opened again: Kafka then says what is committed. Of stages
   that need no order, work in flight goes on meanwhile.
5. **Leave.** On a rebalance or a stop, what is finished is committed, the attempt is taken back, and nothing is begun.

Before each side effect the processor asks whether it still owns the partition.

States of a partition in a process
==================================
=========== ======== ======== ======= ============================================= ==================================
state       producer fetching begins? what is going on                              goes on to
=========== ======== ======== ======= ============================================= ==================================
opening     starting paused   no      fencing, reading the position, restoring      working, in doubt, leaving, failed
working     open     on       yes     records in flight; transactions one by one    every other state but opening
held back   open     paused   yes     backpressure: more wait than may be in flight working, in doubt, leaving, failed
quarantined open     any      one     a suspected poison record, nothing beside it  working, in doubt, leaving, failed
in doubt    none     ignored  no      a pause that grows with each failure in a row opening, leaving, failed
leaving     open     any      no      commits what is finished, at most 4 s         gone
failed      none     any      no      takes its attempt back if Kafka can be told   gone; the process ends
gone        none     none     no      another process has the partition, or nobody
=========== ======== ======== ======= ============================================= ==================================

What fails, what happens, where
===============================
* A record that cannot be read or is refused: a dead letter in the same transaction (`processing.py`).
* A record that kills its process (memory, a native library): after two deaths in one place the partition is
  quarantined (`partition/quarantine.py`), after the third the record is a dead letter, CRASHED_WORKER
  (`partition/crash_count.py`).
* A record whose results are larger than their topic takes: a dead letter, TOO_LARGE (`partition/state.py`).
* The engine is down: the stage takes no more records and waits, for as long as it takes (`outage.py`).
* The worker raises anything else: nothing of the record is published, and the process ends (`partition/state.py`).
* A broker dies, an answer is lost: doubt, step 4; after eight in a row the process ends (`partition/state.py`).
* A process hangs, freezes or loses its connection: it is fenced by its successor, and its transaction is aborted
  (`partition/producer.py`).
* The group coordinator answers with an old position, or has forgotten it: the stage's log of positions counts, and the
  offset is committed again (`partition/position.py`).
* Nobody knows the position, or what it points to is gone: the stage stops, and somebody decides
  (`admin/first_offsets.py`, `admin/group_offsets.py`, `admin/set_position.py`).
* The local state is lost or damaged: it is restored from its changelog (`deduplication/restore.py`); the changelog
  itself is gone: settlement does not start (`deduplication/memory_loss.py`).
* The same query id comes again: nothing is published, or a dead letter, DUPLICATE_QUERY
  (`deduplication/deduplicator.py`).
* Records wait and nothing moves: the process ends, another begins (`liveness.py`).
* Two processes have one instance name: one of them ends (`displacement.py`).
* Kafka stores bytes that no client can read: `wire/` reads what can be read, the rest is a dead letter or stops the
  stage with the place (`processing.py`).

Words
=====
attempt        a process began work on the first unfinished record; each one that did not end in order counts as a death
backpressure   fetching rests while more records wait than may be in flight
base           the first unfinished offset of a partition; it is what the group commits
checkpoint     how far a local store has followed its changelog
changelog      the compacted topic that is the truth about what a stage remembers; a store is its copy on disk
dead letter    a record that cannot be worked on, kept whole in TOPIC.dlq with the reason
deduplication  a query id is settled once: the same event again is passed over, another one is refused
doubt          it is not known what the broker did
fencing        a new producer with the same transactional id makes every older one's writes fail
in flight      delivered, not yet committed
outcome        what a record led to: its events, or one dead letter
position       the base, the finished offsets beyond it, and the attempts, committed together
poison record  a record that ends every process that works on it
quarantine     a suspected poison record is worked on while nothing else in the process is
restore        bringing a store up to the end of its changelog, before the partition's first record
stable end     the offset up to which no transaction is open: a reader of committed records gets no further

Rooms: `partition/` one input partition's life; `deduplication/` what was settled; `connection/` clients, single
requests and what their errors mean; `wire/` Kafka as bytes; `admin/` what commands do to topics, groups and rights.
`bus.py` is the contract, `kafka.py` keeps it with Kafka and `memory.py` without, both under one suite of tests.
"""
