"""`tessera keys`: the secrets of draws and seeds, the commitments to their daily keys, and their reveal."""

import asyncio
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

import click

from schemas.draw import DrawCommitment, a_day
from schemas.envelope import Event
from schemas.topics import SCORED
from workers.app.bus import bus_of
from workers.cli import options
from workers.draw_keys import REST, Committed, commitment
from workers.errors import TesseraError
from workers.mechanism.epochs import EpochKey, committed_key, epoch_of, sampling_epoch_key, sampling_secret_of
from workers.pipeline import STAGES, now, sampling_secret
from workers.settings import Settings
from workers.stream.admin.description import describe_topics
from workers.stream.commitments import open_key_ring, read_commitments

SECRET_BYTES = 32
MOST_DAYS = 90


@click.group(cls=options.Group)
def keys() -> None:
    """Make the secrets of draws and seeds, commit to their daily keys, reveal them.

    Each day (UTC) has a key of its own, derived from TESSERA_DRAW_KEY. Its SHA-256 goes to the topic
    auction.draw.commitment.v1 before the first reply is drawn with it; `tessera run settlement` sees to that by
    itself, a day ahead. When the day is over, `tessera keys reveal` publishes the key: from then on anyone can repeat
    its draws.

    To replace the secret, set TESSERA_DRAW_KEY_PREVIOUS to the old one for a few days: days that are committed to it
    keep it, the new one counts from the first day that is not.

    The seeds that candidates are drawn with have a key a day likewise, from TESSERA_SAMPLING_KEY (`tessera keys new`
    makes it too) or, without it, from TESSERA_DRAW_KEY. The same events commit to both and reveal both. A process that
    runs generation and settlement sees to that by itself. Where they run apart, and settlement does not have the
    secret of the seeds, run `tessera keys commit` with both secrets set, days ahead.
    """


@keys.command()
def new() -> None:
    """Print a new secret for TESSERA_DRAW_KEY or TESSERA_SAMPLING_KEY. It is stored nowhere.

    \b
    Example:
      export TESSERA_DRAW_KEY=$(tessera keys new)
    """
    click.echo(secrets.token_hex(SECRET_BYTES))


@keys.command("list")
@options.bootstrap_servers
@options.as_json
def list_(bootstrap_servers: str | None, as_json: bool) -> None:
    """Show the days that are committed to, and which of them are revealed.

    \b
    Example:
      tessera keys list --json | jq -r 'select(.key == null) | .epoch'
    """
    known = asyncio.run(read_commitments(bus_of(Settings.read(bootstrap_servers=bootstrap_servers))))
    _show(known.values(), as_json)


@keys.command()
@click.option(
    "--days",
    type=click.IntRange(1, MOST_DAYS),
    default=7,
    show_default=True,
    help="Days from today on, today included.",
)
@options.bootstrap_servers
@options.as_json
def commit(days: int, bootstrap_servers: str | None, as_json: bool) -> None:
    """Commit to the keys of the coming days now, of draws and of seeds. What is committed to stays as it is.

    The secret of the seeds is TESSERA_SAMPLING_KEY as generation has it, or derives from TESSERA_DRAW_KEY where
    generation has none. A day gets a second key of seeds where that secret was replaced; the audit takes no third.

    \b
    Example:
      tessera keys commit --days 30
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    _show(asyncio.run(_commit(settings, days)), as_json)


@keys.command()
@click.option("--epoch", metavar="YYYY-MM-DD", help="Only this day. [default: every day that is over]")
@options.bootstrap_servers
@options.as_json
def reveal(epoch: str | None, bootstrap_servers: str | None, as_json: bool) -> None:
    """Publish the keys of the days that are over, so that anyone can repeat their draws and derive their seeds.

    A day is over an hour after its midnight in UTC. A key once published cannot be taken back; it gives no other day's
    key away.

    \b
    Examples:
      tessera keys reveal
      tessera keys reveal --epoch 2026-11-23
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    at = now()
    first = f"nothing to reveal yet: the key of {epoch_of(at - REST)} can be shown from an hour after its midnight on"
    _show(asyncio.run(_reveal(settings, epoch, at)), as_json, first)


async def _commit(settings: Settings, days: int) -> list[Committed]:
    bus, today = bus_of(settings), now()
    ring = await open_key_ring(bus, settings.draw_secrets, now, sampling_secret(settings))
    for day in range(days):
        await ring.commit(epoch_of(today + timedelta(days=day)))
    return [one for one in (await read_commitments(bus)).values() if one.epoch >= epoch_of(today)]


async def _reveal(settings: Settings, epoch: str | None, at: datetime) -> list[Committed]:
    """What is revealed by now. TesseraError: the day is not over or not committed to, or the secret is another one."""
    bus = bus_of(settings)
    known = await read_commitments(bus)
    last = epoch_of(at - REST - timedelta(days=1))
    if epoch is not None:
        _check_over(epoch, last, known)
    await _check_drawn(settings)
    days = [one for one in known.values() if (one.epoch == epoch if epoch else one.epoch <= last)]
    events = [event for one in days for event in _reveals(one, settings, at)]
    await bus.publish([event.to_record() for event in events])
    return [one for one in (await read_commitments(bus)).values() if one.key is not None]


def _reveals(committed: Committed, settings: Settings, at: datetime) -> Iterator[Event[DrawCommitment]]:
    """What is not revealed yet of a day. A key of seeds from a secret that is not set stays hidden, and is named."""
    hidden = [sha256 for sha256, key in committed.sampling_keys.items() if key is None]
    if committed.key is not None and not hidden:
        return
    key = _key_of(committed, settings.draw_secrets)
    own = {one.sha256: one for one in _sampling_keys(settings, committed.epoch)}
    for unknown in (one for one in hidden if one not in own):
        click.echo(
            f"tessera: {committed.epoch}: the key of seeds {unknown[:12]}… derives from a secret that is not set; "
            "set TESSERA_SAMPLING_KEY to the secret of that day and reveal again",
            err=True,
        )
    seeds = [own[one] for one in hidden if one in own]
    if committed.key is None and not seeds:
        yield commitment(key, at, reveal=True)
    yield from (commitment(key, at, reveal=True, seeds=one) for one in seeds)


def _sampling_keys(settings: Settings, epoch: str) -> Iterator[EpochKey]:
    """The keys of a day's seeds under every secret that is set."""
    if settings.sampling_key is not None:
        yield sampling_epoch_key(settings.sampling_key.get_secret_value().encode(), epoch)
    for secret in settings.draw_secrets:
        yield sampling_epoch_key(sampling_secret_of(secret), epoch)


async def _check_drawn(settings: Settings) -> None:
    """TesseraError while settlement is behind: it would have to refuse auctions of a day whose key is shown.

    A worker that was stopped leaves one transaction's marker in each partition behind it, which is no auction.
    """
    topics = await describe_topics(settings, {STAGES["settlement"].group: SCORED.name})
    if SCORED.name not in {topic.topic for topic in topics}:
        raise TesseraError(
            f"Kafka has no topic {SCORED.name}, or does not show it to this user: without it nobody can tell whether "
            "settlement has caught up, so nothing is revealed"
        )
    for topic in topics:
        for group in topic.groups:
            if group.lag_records is None or group.lag_records > topic.partitions:
                raise TesseraError(
                    f"settlement is {group.lag_records} records behind; auctions of the days to reveal may be among "
                    "them. Reveal when `tessera topics describe` shows that it has caught up"
                )


def _check_over(epoch: str, last: str, known: Mapping[str, Committed]) -> None:
    try:
        a_day(epoch)
    except ValueError:
        raise TesseraError(f"{epoch!r} is no day; one is written as in 2026-11-23") from None
    if epoch not in known:
        raise TesseraError(f"{epoch} is not committed to; `tessera keys list` shows the days that are")
    if epoch > last:
        raise TesseraError(
            f"{epoch} is not over: whoever knew its key could foretell its draws. It can be revealed an hour after its "
            "midnight in UTC"
        )


def _key_of(committed: Committed, known: Sequence[bytes]) -> EpochKey:
    if (key := committed_key(known, committed.epoch, committed.key_sha256)) is not None:
        return key
    raise TesseraError(
        f"the key of {committed.epoch} was derived from another secret than TESSERA_DRAW_KEY; set it, or "
        "TESSERA_DRAW_KEY_PREVIOUS, to the secret of that day"
    )


def _show(found: Iterable[Committed], as_json: bool, nothing: str = "no day is committed to") -> None:
    rows = sorted(found, key=lambda one: one.epoch)
    if as_json:
        for one in rows:
            click.echo(json.dumps(asdict(one), default=str))
        return
    for one in rows:
        click.echo(f"{one.epoch}  committed to at {one.committed_at:%Y-%m-%d %H:%M:%S} UTC")
        click.echo(f"  SHA-256  {one.key_sha256}")
        revealed = f"{one.key} (revealed at {one.revealed_at:%Y-%m-%d %H:%M:%S} UTC)" if one.key else "not revealed"
        click.echo(f"  key      {revealed}")
        for sha256, key in one.sampling_keys.items():
            click.echo(f"  seeds    {sha256} (SHA-256); key {key or 'not revealed'}")
    if not rows:
        click.echo(nothing)
