"""Which ids a log had so far of each kind of record: 24 to 48 bytes for each, in hash tables of digests."""

from collections import defaultdict
from dataclasses import dataclass, field

from workers.id_set import KnownIds


@dataclass
class SeenIds:
    """Kinds are "reply", "charge", "generated" and "scored"; a kind's ids are apart from the others'."""

    _ids: defaultdict[str, KnownIds] = field(default_factory=lambda: defaultdict(KnownIds))

    def again(self, kind: str, id_: str) -> bool:
        """Whether the id was there before; it is from now on."""
        known = self._ids[kind]
        if id_ in known:
            return True
        known.add(id_)
        return False
