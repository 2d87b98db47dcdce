"""Whether a scored event is that of its query and of what was generated for it, where the log holds those before it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from schemas.auction import CandidatesGenerated, CandidatesScored
from schemas.draw import QueryRecord
from schemas.query import QuerySubmitted
from workers.audit.disk_map import DiskMap
from workers.audit.entries import LogEntry
from workers.audit.findings import Check, Finding, Kind, Tally
from workers.audit.lineage import OWN, Break, Difference, from_query

DIGITS = 16  # of a field's digest: nobody can choose one, as the event is fixed by the digest that names it


@dataclass
class SourceCheck:
    """Queries and generated events in, then scored ones to be compared with them, field by field.

    A scored event names both by their digests. One whose query or generated event is not in the log, as it is kept for
    days and not for months, is not verifiable: that nobody generated it is for a verification to find. Memory holds
    what DiskMap holds at hand.
    """

    tally: Tally
    _queries: DiskMap = field(default_factory=DiskMap)  # what was sent, by name
    _places: DiskMap = field(default_factory=DiskMap)  # the name of the query that stands there
    _generated: DiskMap = field(default_factory=DiskMap)  # digests of the fields, by the event's own
    _has_any: bool = False

    def add(self, entry: LogEntry) -> None:
        """A query or a generated event."""
        self._has_any = True
        if isinstance(entry.data, QuerySubmitted):
            name = _name(str(entry.key), entry.sha256)
            self._queries.put(name, entry.data.model_dump_json(exclude_unset=True))
            self._places.put("/".join(entry.origin), name)
        elif isinstance(entry.data, CandidatesGenerated):
            self._generated.put(entry.sha256, json.dumps(_digests(entry.data.model_dump(mode="json"))))

    def compare(self, scored: CandidatesScored) -> None:
        """A scored event that was not refused. In a log without queries and generated events nothing is said."""
        if not self._has_any:
            return
        fields, record = scored.model_dump(mode="json"), scored.query_record
        query = self._queries.get(_name(scored.query_id, record.sha256)) if record else None
        generated = self._generated.get(scored.generated_sha256 or "")
        found = list(self._from_other(scored.query_id, record)) if record else []
        if query is not None and record is not None:
            found += from_query(QuerySubmitted.model_validate_json(query), record.sha256, fields)
        if generated is not None:
            found += _from_generated(json.loads(generated), fields)
        self._count(scored, found, is_whole=query is not None and generated is not None)

    def _from_other(self, query_id: str, record: QueryRecord) -> Iterator[Difference]:
        """Another query stands where the scored event says that its own does."""
        stands, wanted = self._places.get("/".join(record.origin)), _name(query_id, record.sha256)
        if stands is not None and stands != wanted:
            yield Difference(Break.OTHER_QUERY, f"{'/'.join(record.origin)} holds {stands}, the auction names {wanted}")

    def _count(self, scored: CandidatesScored, found: list[Difference], *, is_whole: bool) -> None:
        if is_whole or found:
            self.tally.checked[Check.LINEAGE] += 1
        else:
            self.tally.unverifiable[Check.LINEAGE] += 1
        for said in dict.fromkeys(found):
            ids = scored.query_id, scored.auction_id
            self.tally.find(Finding(Kind(said.kind.value), *ids, said.what, "another", "what it follows from"))

    def close(self) -> None:
        """Let go of the temporary files."""
        for held in (self._queries, self._places, self._generated):
            held.close()


def _name(query_id: str, digest: str) -> str:
    """What no other query has but one that says the same under the same id."""
    return f"{query_id} {digest}"


def _digests(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: _digest(value) for name, value in fields.items() if name != OWN}


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:DIGITS]


def _from_generated(generated: Mapping[str, str], scored: Mapping[str, Any]) -> Iterator[Difference]:
    """A scoring of an older release leaves new fields out."""
    for name, digest in generated.items():
        if scored.get(name) is not None and _digest(scored[name]) != digest:
            yield Difference(Break.OTHER_CANDIDATES, f"{name} of the scored event is not that of the generated one")
