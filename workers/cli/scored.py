"""The scored events of a file, as several commands read them."""

from collections.abc import Iterator
from typing import BinaryIO

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.lines import read_event
from schemas.payload import BadRecord
from schemas.topics import SCORED
from workers.errors import TesseraError


def scored_events(file: BinaryIO) -> Iterator[Event[CandidatesScored]]:
    """Each scored event of a file with one event a line; other types of event are passed over.

    Raises TesseraError, which names the line that is no event, or says that no event of the file is a scored one.
    """
    found = False
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            event = read_event(line, SCORED)
        except BadRecord as error:
            raise TesseraError(f"{file.name}, line {number}: {error.reason.name}: {error}") from None
        if event is not None:
            found = True
            yield event  # type: ignore[misc]  # an event of SCORED holds CandidatesScored
    if not found:
        raise TesseraError(f"{file.name} has no {SCORED.name} event in it")
