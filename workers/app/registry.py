"""The advertisers' registry on its topic: opened, and changed so that of two changes at once the later is told."""

from collections.abc import Callable, Sequence
from datetime import datetime

from schemas.advertiser import AdvertiserProfile
from schemas.envelope import Event
from schemas.identity import derive
from schemas.record import Outgoing
from schemas.topics import PROFILES
from workers.advertisers.registry import RefusedProfile, Registered, register
from workers.stream.bus import Bus
from workers.stream.table import TopicTable

SOURCE = "urn:tessera:registry"
MOST_BYTES = 2 * 1024**3  # of a million profiles of 600 bytes a third; beyond it whoever reads them ends
RECORDS_PER_SEND = 2_000

RegistryTable = TopicTable[AdvertiserProfile, Registered]


def registry_table(
    bus: Bus, changed: Callable[[str, Registered | None], None] = lambda advertiser_id, registered: None
) -> RegistryTable:
    """Every advertiser by its id; empty until it is restored. `changed` is told of each change."""
    return TopicTable(bus, PROFILES, register, most_bytes=MOST_BYTES, changed=changed)


def profile_event(profile: AdvertiserProfile, at: datetime, value: bytes | None = None) -> Event[AdvertiserProfile]:
    """A version of a profile as its event; the same version has the same id. `value`: its bytes, where they stand."""
    id_ = profile.advertiser_id
    return Event(
        data=profile,
        value=value or profile.encode(),
        id=derive("event", profile.event_type, id_, str(profile.version)),
        source=SOURCE,
        subject=id_,
        time=at,
        correlation_id=id_,
    )


class Registry:
    """Changes to the table, checked by whoever makes them. RefusedProfile: somebody else was faster."""

    def __init__(self, bus: Bus, now: Callable[[], datetime]) -> None:
        self._bus, self._now = bus, now
        self.profiles = registry_table(bus)

    def standing(self, advertiser_id: str) -> AdvertiserProfile | None:
        """The newest version; None for an id that nobody has."""
        found = self.profiles.get(advertiser_id)
        return found.profile if found else None

    async def write(self, versions: Sequence[AdvertiserProfile]) -> None:
        """Publish versions, of one advertiser in their order, and look whether they stand.

        Where another's change of the same version came first, that one is written once more: in a compacted topic the
        last record of a key is the one that stays.
        """
        for begin in range(0, len(versions), RECORDS_PER_SEND):
            await self._publish(versions[begin : begin + RECORDS_PER_SEND])
        await self.profiles.restore()
        last = {one.advertiser_id: one for one in versions}
        lost = [id_ for id_, one in last.items() if (self.profiles[id_].value != one.encode())]
        if lost:
            standing = [self.profiles[id_] for id_ in lost]
            again = [profile_event(one.profile, one.at, one.value).to_record() for one in standing]
            await self._bus.publish(again)
            raise RefusedProfile(
                f"version: {', '.join(lost[:5])} changed at the same time; look at what stands now and change that"
            )

    async def forget(self, advertiser_id: str, by: str) -> None:
        """A record without a value: the id is free again. Its bills keep it, so it should go to nobody else."""
        said = (("changed_by", by.encode()), ("ce_time", self._now().isoformat().encode()))
        await self._bus.publish([Outgoing(PROFILES.name, advertiser_id.encode(), None, said)])
        await self.profiles.restore()

    async def _publish(self, versions: Sequence[AdvertiserProfile]) -> None:
        await self._bus.publish([profile_event(one, self._now()).to_record() for one in versions])
