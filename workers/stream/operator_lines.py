"""What a worker's log says: of each kind of line what happened, what it means for replies and bills, and what to do.

All of them stand here, side by side. INFO is the ordinary course of a worker, and shown by `tessera run`; WARNING is
what somebody should look at. No line holds a query's text or a reply: of a record only its key, a query's id.
"""

import logging
from dataclasses import dataclass

NOTHING = "Nothing is to be done"


@dataclass(frozen=True)
class Line:
    """A kind of line. Its three sentences have no full stop, and names of fields in braces."""

    name: str
    level: int
    happened: str
    means: str
    do: str

    def tell(self, log: logging.Logger, **fields: object) -> None:
        """Log it, where this level is logged at all. Values that are no text, number or flag are shown as text."""
        if log.isEnabledFor(self.level):
            log.log(self.level, "%s", Told(self, fields))


@dataclass(frozen=True)
class Told:
    """One line of the log."""

    line: Line
    fields: dict[str, object]

    def sentences(self) -> dict[str, str]:
        """What happened, what it means, what to do."""
        parts = {"happened": self.line.happened, "means": self.line.means, "do": self.line.do}
        return {name: part.format(**self.fields) for name, part in parts.items()}

    def __str__(self) -> str:
        return ". ".join(self.sentences().values())


PARTITION_OPENED = Line(
    "partition_opened",
    logging.INFO,
    "stage {stage}: {topic} partition {partition} is open and goes on at offset {offset}",
    "Whoever had it before can publish nothing more; what is committed is not done again",
    NOTHING,
)
PARTITIONS_ASSIGNED = Line(
    "partitions_assigned",
    logging.INFO,
    "stage {stage}: Kafka gave this process partitions {partitions} of {topic}",
    "It shares partitions out anew when a worker comes, goes or falls silent; each is opened before work on it begins",
    "Many of these in an hour: look for workers that die, or that Kafka does not hear (auction_rebalances_total)",
)
PARTITIONS_LET_GO = Line(
    "partitions_let_go",
    logging.INFO,
    "stage {stage}: this process lets go of partitions {partitions} of {topic}",
    "What is finished is committed; what is in work is begun again by whoever gets them, and nobody is billed twice",
    NOTHING,
)
DEAD_LETTER = Line(
    "dead_letter",
    logging.INFO,
    "stage {stage}: {topic} partition {partition} offset {offset}, query {query_id}, became a dead letter: {reason} "
    "({code})",
    "Nobody is billed for this record, and those behind it are worked on",
    "See why with `tessera dlq list --reason {reason}`; `tessera dlq redrive` sends it again when the cause is gone",
)
PARTITION_FAILED = Line(
    "partition_failed",
    logging.WARNING,
    "stage {stage}: {topic} partition {partition}, failure {count} of {most} in a row: {error}",
    "What was not committed there is given up and begun again: nothing is lost, and nothing is published twice",
    "Wait: it may pass, and `tessera doctor` may tell why. After {most} the process ends with 70: start it again",
)
POSITION_AHEAD = Line(
    "position_ahead",
    logging.WARNING,
    "{where}: offset {offset} is the position: the stage's own log says {logged}, Kafka's group coordinator {told}, "
    "and this process has committed {known}",
    "It goes on from there and commits that again, so nothing is done twice",
    "Nothing, unless somebody set the offset back on purpose: `tessera offsets set` does, Kafka's own tools cannot",
)
NO_POSITION_PARTITION = Line(
    "no_position_partition",
    logging.WARNING,
    "{topic} partition {partition}: {positions} has no such partition",
    "Work goes on, and where the stage stands there is known to Kafka's group coordinator only, which may forget",
    "Run `tessera topics create`, which adds the partition; it is written from the next opening on",
)
ENGINE_DOWN = Line(
    "engine_down",
    logging.WARNING,
    "the engine is down: {error}",
    "Records wait until it is back; none is refused for it, but a query's own deadline may pass",
    "Look at the engine that TESSERA_ENGINE names: a server, or one in this process; no restart is needed",
)
ENGINE_BACK = Line(
    "engine_back", logging.WARNING, "the engine is back", "The records that waited are worked on", NOTHING
)
KAFKA_DOWN = Line(
    "kafka_down",
    logging.WARNING,
    "stage {stage}: Kafka has not answered its group for {seconds} s",
    "Nothing is read or committed meanwhile, and nothing is lost; a stage with work in hand ends with 70 after a while",
    "Look at the brokers and the network between: `tessera doctor --kafka`. An idle worker needs no restart",
)
KAFKA_BACK = Line(
    "kafka_back",
    logging.WARNING,
    "stage {stage}: Kafka answers its group again",
    "The stage reads on when the group has shared out its partitions, and begins where the last commit was",
    NOTHING,
)
CLOCK_IS_WRONG = Line(
    "clock_is_wrong",
    logging.WARNING,
    "the clocks are apart: {said}",
    "Deadlines and the day of a draw's key follow both clocks: queries may be refused early, or answered late",
    "Set the clocks of workers and brokers by NTP; `tessera doctor` tells when they agree",
)
TOPIC_MADE_ANEW = Line(
    "topic_made_anew",
    logging.WARNING,
    "{topic} ends before what was read of it",
    "It was made anew, and is read anew: what only the old one held does not count any more",
    "If nobody meant to delete it, fill it from a copy, and look who may (`tessera principals show`)",
)
RECORD_PASSED_OVER = Line(
    "record_passed_over",
    logging.WARNING,
    "{topic} partition {partition} offset {offset} is passed over, as are others like it: no event of this topic: "
    "{error}",
    "It changes nothing here, and what the topic's own records say counts",
    "Find out who writes there: `tessera principals show` lists who may",
)
STORE_WITHOUT_ITS_RECORD = Line(
    "store_without_its_record",
    logging.WARNING,
    "{topic} partition {partition} does not have the record that the store on disk has read last, at offset {offset}: "
    "the topic was made anew, is another cluster's, or has deleted that part",
    "The store is emptied and restored from Kafka; until then the partition waits, and nothing is settled from memory",
    "Nothing, unless TESSERA_STATE_FOLDER was copied from elsewhere or the topic deleted: `tessera doctor` looks",
)
ID_DELETED = Line(
    "id_deleted",
    logging.WARNING,
    "{topic} partition {partition} offset {offset} deletes a settled id: no stage writes that",
    "The id stays used, and a query that has it again becomes a dead letter: nobody pays twice",
    "See who may write to this topic (`tessera principals show`)",
)
STORE_IN_TEMPORARY_FOLDER = Line(
    "store_in_temporary_folder",
    logging.WARNING,
    "{store}: restored from Kafka into a temporary folder: {error}",
    "The stage works as always, but restores the whole window from Kafka at each start, which takes longer",
    "Give each process a TESSERA_STATE_FOLDER that it alone uses and may write to",
)
HOLDER_UNKNOWN = Line(
    "holder_unknown",
    logging.WARNING,
    "{group}: who has the place of {instance} in the group is not known: {error}",
    "Another process may run under the same name; this one joins again, and asks after it has lost its place again",
    "If it happens again, look whether Kafka lets workers describe their groups, and whether two have one name",
)
STORE_DAMAGED = Line(
    "store_damaged",
    logging.WARNING,
    "{folder} is damaged, and restored from Kafka: {error}",
    "Kafka has all that it held, so nothing is forgotten; the partition waits until it is restored",
    "If it happens again, look at the disk",
)

LINES = tuple(value for value in list(globals().values()) if isinstance(value, Line))
