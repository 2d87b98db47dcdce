"""How often a record was the end of the process that worked on it: after three deaths it is not tried again.

What is counted is committed beside the offset, before work begins, so it survives the process and the machine. A
process that ends in order, or gives up after many doubts, takes its own attempt back: in Kafka, or, in an outage, by a
note on its disk, which the next process of that machine reads. Without either its end counts as a death. After two
deaths in the same place, whatever was in work is worked on alone in its process, in quarantine (quarantine.py): the
third has one suspect. Deaths that may have been another record's are nobody's: a record behind an innocent one is given
up after five at most.
"""

from dataclasses import dataclass, replace

from schemas.reasons import DeadLetterReason
from workers.stream.processing import Unworkable

MOST_DEATHS = 3
DEATHS_BEFORE_ALONE = 2

CRASHED = Unworkable(
    DeadLetterReason.CRASHED_WORKER,
    f"{MOST_DEATHS} processes in a row ended while they worked on it. One that gave up in an outage counts, if it "
    "could tell neither Kafka nor, through TESSERA_STATE_FOLDER, its successor",
)


@dataclass(frozen=True, slots=True)
class Attempts:
    """The count of one input partition; each method gives the count after something happened."""

    deaths: int = 0  # of processes that had begun with the first unfinished record
    begun: bool = False  # this process has begun, and Kafka knows it
    suspects: int = 0  # records still to be worked on alone

    @property
    def number(self) -> int:
        """What is to be committed."""
        return self.deaths + self.begun

    @property
    def alone(self) -> bool:
        """Whether only the first unfinished record may be worked on."""
        return self.suspects > 0

    @property
    def hopeless(self) -> bool:
        """Whether the first unfinished record must not be worked on again."""
        return self.deaths >= MOST_DEATHS

    def begin(self) -> "Attempts":
        """Work begins."""
        return replace(self, begun=True)

    def release(self) -> "Attempts":
        """This process ends, or has to begin anew, and it was not the record's fault."""
        return replace(self, begun=False)

    def passed(self, finished: int) -> "Attempts":
        """The first unfinished record is another one, after `finished` records; no death is known to be its doing."""
        return Attempts(begun=True, suspects=max(0, self.suspects - finished))


def found(number: int, room: int) -> Attempts:
    """What a new owner makes of the committed number: each attempt was a death. `room`: records in work at once."""
    return Attempts(number, False, room if number >= DEATHS_BEFORE_ALONE else 0)


def found_again(number: int, known: Attempts, room: int, *, moved: bool) -> Attempts:
    """What the same process makes of it after a doubt: it did not die. `moved`: the first record is another one."""
    known = known.passed(1) if moved else known
    begun = number > known.deaths  # its own attempt; what else has changed is the doing of others in the meantime
    deaths = number - begun
    suspects = max(known.suspects, room if deaths > known.deaths and deaths >= DEATHS_BEFORE_ALONE else 0)
    return Attempts(deaths, begun, suspects)
