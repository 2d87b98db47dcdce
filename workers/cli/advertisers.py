"""`tessera advertisers`: the registry of who may bid, with what it is worth to them and what they may spend."""

import asyncio
import getpass
from collections.abc import Callable, Mapping, Sequence
from typing import IO

import click
from rich import box
from rich.table import Table

from schemas.advertiser import AdvertiserProfile, Status
from schemas.lines import to_line
from workers.advertisers.changes import next_status, next_versions
from workers.advertisers.registry import Registered
from workers.app.bus import bus_of
from workers.app.registry import Registry, profile_event
from workers.cli import options, render
from workers.errors import TesseraError
from workers.pipeline import now
from workers.settings import Settings

STATUSES: tuple[Status, ...] = ("draft", "approved", "paused", "removed")

ids_argument = click.argument("advertiser_ids", nargs=-1, required=True, metavar="ID...")
by_option = click.option(
    "--by", metavar="WHO", help="Who makes the change. [default: this process's user in Kafka, or the system's]"
)


@click.group(cls=options.Group)
def advertisers() -> None:
    """Register advertisers, approve them, pause or remove them.

    The registry is the compacted topic auction.advertiser.profile.v1; each change is an event there, with who made it
    and when. An advertiser begins as a draft and bids once it is approved. What people and models read of it (name,
    description, keywords) is frozen then: another text makes it a draft again. A name that looks like another
    advertiser's, and a description that holds an advertiser's name, are refused.
    """


@advertisers.command()
@click.argument("file", type=click.File("rb"))
@by_option
@options.bootstrap_servers
def put(file: IO[bytes], by: str | None, bootstrap_servers: str | None) -> None:
    """Store the profile in FILE (`-`: standard input), a JSON object, as the next version of it.

    Its fields are those of schemas/published/auction.advertiser.profile.v1.schema.json; version, status and changed_by
    may be left out. A profile that is refused is not stored; the message names the field.

    \b
    Example:
      echo '{"advertiser_id": "ovennest", "name": "OvenNest", "description": "selling baking ingredients",
             "value_micros_per_nat": 1000, "currency": "USD"}' | tessera advertisers put -
    """
    _store([file.read(AdvertiserProfile.max_bytes + 1)], False, by, bootstrap_servers)


@advertisers.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--approve", is_flag=True, help="Approve all of them at once; otherwise they become drafts.")
@by_option
@options.bootstrap_servers
def import_(file: IO[bytes], approve: bool, by: str | None, bootstrap_servers: str | None) -> None:
    """Store each profile in FILE, a JSON object on each line, as `export` writes them. All of them, or none.

    \b
    Example:
      tessera advertisers export > advertisers.jsonl
      tessera advertisers import advertisers.jsonl --approve
    """
    _store([line for line in file.read().split(b"\n") if line.strip()], approve, by, bootstrap_servers)


@advertisers.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only those with this status.")
@options.bootstrap_servers
@options.as_json
def list_(status: Status | None, bootstrap_servers: str | None, as_json: bool) -> None:
    """Show the advertisers: status, value, budgets, and who changed them last.

    \b
    Example:
      tessera advertisers list --status draft
    """
    registry = _opened(bootstrap_servers)
    found = [one for _, one in sorted(registry.profiles.items()) if status in (None, one.status)]
    if as_json:
        for one in found:
            click.echo(to_line(profile_event(one.profile, one.at, one.value)))
        return
    table = Table("id", "name", "status", "value per nat", "daily budget", "changed", box=box.SIMPLE_HEAD)
    for one in found:
        table.add_row(*_row(one.profile), f"{one.at:%Y-%m-%d %H:%M} by {one.profile.changed_by}")
    render.console(piped_width=140).print(table)
    click.echo(f"{len(found):,} advertisers")


@advertisers.command()
@click.argument("advertiser_id")
@options.bootstrap_servers
@options.as_json
def show(advertiser_id: str, bootstrap_servers: str | None, as_json: bool) -> None:
    """Show one advertiser's profile, every field.

    \b
    Example:
      tessera advertisers show ovennest --json | jq .data.budgets
    """
    found = _known(_opened(bootstrap_servers), advertiser_id)
    if as_json:
        click.echo(to_line(profile_event(found.profile, found.at, found.value)))
    else:
        render.console().print(found.profile.model_dump_json(indent=2))


@advertisers.command()
@ids_argument
@by_option
@options.bootstrap_servers
def approve(advertiser_ids: Sequence[str], by: str | None, bootstrap_servers: str | None) -> None:
    """Let drafts, or advertisers that are paused, bid. Their text is frozen from then on.

    \b
    Example:
      tessera advertisers approve ovennest crumbworks
    """
    _step("approved", advertiser_ids, by, bootstrap_servers)


@advertisers.command()
@ids_argument
@by_option
@options.bootstrap_servers
def pause(advertiser_ids: Sequence[str], by: str | None, bootstrap_servers: str | None) -> None:
    """Let advertisers bid no more until they are approved again.

    \b
    Example:
      tessera advertisers pause ovennest
    """
    _step("paused", advertiser_ids, by, bootstrap_servers)


@advertisers.command()
@ids_argument
@click.option("--forget", is_flag=True, help="Delete the profiles, too: the topic keeps nothing of them for long.")
@by_option
@options.bootstrap_servers
def remove(advertiser_ids: Sequence[str], forget: bool, by: str | None, bootstrap_servers: str | None) -> None:
    """Let advertisers leave. Their ids stay taken: bills are kept under them.

    With --forget nothing is left that keeps an id from being given away again; nobody should, while bills have it.

    \b
    Example:
      tessera advertisers remove ovennest
    """
    if not forget:
        _step("removed", advertiser_ids, by, bootstrap_servers)
        return
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    asyncio.run(_forget(settings, advertiser_ids, _who(by, settings)))
    click.echo(f"{len(advertiser_ids)} forgotten")


@advertisers.command()
@click.option("--status", type=click.Choice(STATUSES), help="Only those with this status.")
@options.bootstrap_servers
def export(status: Status | None, bootstrap_servers: str | None) -> None:
    """Print each profile as a JSON object on a line of its own, for `import`.

    \b
    Example:
      tessera advertisers export --status approved > advertisers.jsonl
    """
    registry = _opened(bootstrap_servers)
    for _, one in sorted(registry.profiles.items()):
        if status in (None, one.status):
            click.echo(one.value)


def _row(profile: AdvertiserProfile) -> tuple[str, str, str, str, str]:
    daily = profile.budgets.daily_micros
    worth = f"{profile.value_micros_per_nat:,} micros {profile.currency}"
    return profile.advertiser_id, profile.name, profile.status, worth, f"{daily:,} micros" if daily else "no limit"


def _known(registry: Registry, advertiser_id: str) -> Registered:
    if (found := registry.profiles.get(advertiser_id)) is None:
        raise TesseraError(f"no advertiser is called {advertiser_id}; `tessera advertisers list` shows them")
    return found


def _opened(bootstrap_servers: str | None) -> Registry:
    return asyncio.run(_restored(Settings.read(bootstrap_servers=bootstrap_servers)))


async def _restored(settings: Settings) -> Registry:
    registry = Registry(bus_of(settings), now)
    await registry.profiles.restore()
    return registry


def _store(texts: Sequence[bytes], approve: bool, by: str | None, bootstrap_servers: str | None) -> None:
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    who = _who(by, settings)
    _write(settings, lambda profiles: next_versions(profiles, texts, who, approve=approve))


def _step(status: Status, ids: Sequence[str], by: str | None, bootstrap_servers: str | None) -> None:
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    who = _who(by, settings)
    _write(settings, lambda profiles: next_status(profiles, status, ids, who))


def _write(settings: Settings, plan: Callable[[Mapping[str, Registered]], Sequence[AdvertiserProfile]]) -> None:
    """Plan changes to what stands, write them, and say what stands now."""

    async def write() -> Sequence[AdvertiserProfile]:
        registry = await _restored(settings)
        versions = plan(registry.profiles)
        await registry.write(versions)
        return versions

    for one in {one.advertiser_id: one for one in asyncio.run(write())}.values():
        then = "; `tessera advertisers approve` lets it bid" if one.status == "draft" else ""
        click.echo(f"{one.advertiser_id}: version {one.version}, {one.status}{then}")


async def _forget(settings: Settings, ids: Sequence[str], by: str) -> None:
    registry = await _restored(settings)
    for id_ in ids:
        _known(registry, id_)
    for id_ in ids:
        await registry.forget(id_, by)


def _who(by: str | None, settings: Settings) -> str:
    return by or settings.sasl_username or getpass.getuser()
