"""`tessera terms`: what auctions are held on, published before it is in force, so that every change is announced."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from functools import partial
from typing import Any

import click

from schemas.envelope import Event, from_record
from schemas.lines import to_line
from schemas.terms import NamedModel, TermsPublished
from schemas.text import plain_line
from schemas.topics import TERMS
from workers.app.bus import bus_of
from workers.cli import options
from workers.cli.period import MomentOption
from workers.cli.visible import visible
from workers.errors import BrokerError
from workers.operations.terms import Notice, in_force, notice_of, publication, terms_of
from workers.pipeline import now
from workers.settings import Settings
from workers.stream.connection.clients import Clients
from workers.stream.exclusive_writer import exclusive_writer
from workers.stream.kafka import KafkaBus

TRANSACTIONAL_ID = "auction.terms-publisher.terms"


class Model(click.ParamType[NamedModel, Any]):
    """NAME@DIGITS, as `tessera audit` shows the models of auctions."""

    name = "model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> NamedModel:
        name, _, digits = str(value).rpartition("@")
        try:
            return NamedModel(name=name, model_sha256=digits)
        except ValueError:
            self.fail(
                f"{value!r} is no model; one is NAME@, then 12 to 64 hexadecimal digits in lower case", param, ctx
            )


def _note(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    try:
        return None if given is None else plain_line(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.group(cls=options.Group)
def terms() -> None:
    """Publish the terms that auctions are held on, and show them.

    A notice on the topic auction.terms.v1 says τ, currency, payment rule, draw, models, floors and ceilings, and from
    when on they are in force. `tessera audit` and `verify` hold every auction that is scored after that to it: other
    terms than a notice in force says are a finding, unannounced_terms. Where no notice was ever published nothing is
    held to any, and the audit lists the terms of each day.
    """


@terms.command()
@click.option(
    "--in-force-from", type=MomentOption(), metavar="TIME|DAY", help="As in 2026-12-01T00:00:00Z. [default: now]"
)
@click.option(
    "--model", "models", type=Model(), multiple=True, metavar="NAME@DIGITS", help="A model that may be used; repeat it."
)
@click.option("--note", callback=_note, help="Why, in one line, for whoever pays.")
@click.option("--dry-run", is_flag=True, help="Say what would be published, and write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.bootstrap_servers
@options.as_json
def publish(
    in_force_from: datetime | None,
    models: tuple[NamedModel, ...],
    note: str | None,
    dry_run: bool,
    yes: bool,
    bootstrap_servers: str | None,
    as_json: bool,
) -> None:
    """Publish the terms of the workers' settings: run it with the environment that they have, or will have.

    They come from TESSERA_TAU_MICROS_PER_NAT, TESSERA_CURRENCY, TESSERA_PAYMENT_RULE, TESSERA_CANDIDATES_LEAST and
    _MOST, TESSERA_MAX_TOKENS_LEAST and _MOST; the draw is this release's. Models are those that --model names, as
    `tessera audit` shows them; without one the notice says nothing of models.

    Publish before you change anything, then restart the workers within an hour from the moment on: so long the terms
    before may still be used. A notice cannot be taken back, nor reach into the past; another one ends it. Terms that
    are in force then anyhow are not published again. Needs the rights of auction.terms-publisher.

    \b
    Examples:
      tessera terms publish --note 'the terms so far'
      TESSERA_TAU_MICROS_PER_NAT=900 tessera terms publish --in-force-from 2026-12-01T00:00:00Z --note 'less weight'
      tessera terms publish --model test@8c1f4b0e93d2 --dry-run --json
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    say = partial(terms_of, settings, models, note)
    if dry_run or not yes:
        wanted = say(in_force_from or now())
        planned = publication(wanted, asyncio.run(_notices(bus_of(settings))), now())
        if dry_run or planned is None:
            _tell(planned, as_json, "would be published")
            return
        click.echo(_sentence(wanted), err=True)
        click.confirm("publish these terms?", abort=True, err=True)
    _tell(asyncio.run(_publish(settings, say(in_force_from or now()))), as_json, "published")


@terms.command()
@options.bootstrap_servers
@options.as_json
def show(bootstrap_servers: str | None, as_json: bool) -> None:
    """Show every notice, the one in force marked.

    \b
    Examples:
      tessera terms show
      tessera terms show --json | jq 'select(.in_force)'
    """
    found = asyncio.run(_notices(bus_of(Settings.read(bootstrap_servers=bootstrap_servers))))
    current = in_force(found, now())
    for one in found:
        if as_json:
            said = one.terms.model_dump(mode="json")
            click.echo(json.dumps(said | {"since": one.since.isoformat(), "in_force": one is current}))
        else:
            click.echo(("in force  " if one is current else "          ") + _sentence(one.terms))
    if not found and not as_json:
        click.echo("no terms are published: auctions are held to none, `tessera audit` lists those they were held on")


async def _notices(bus: KafkaBus) -> list[Notice]:
    """All of the topic, in its order. BadRecord: one of them cannot be read."""
    async with aclosing(bus.stored([TERMS.name])) as records:
        events: list[Event[Any]] = [from_record(record, TERMS) async for record in records]
    return [notice_of(event) for event in events]


async def _publish(settings: Settings, wanted: TermsPublished) -> Event[TermsPublished] | None:
    """The event once it is committed; None: such terms are in force then anyhow."""
    try:
        async with exclusive_writer(Clients(settings), TRANSACTIONAL_ID) as writer:
            event = publication(
                wanted, await _notices(bus_of(settings)), now()
            )  # read only now: nobody else can add one
            if event is not None:
                await writer.publish(event.to_record())
    except BrokerError as error:
        raise BrokerError(f"{error}. Give the same command again: it publishes nothing twice") from error
    return event


def _tell(event: Event[TermsPublished] | None, as_json: bool, done: str) -> None:
    if event is None:
        if not as_json:
            click.echo("these terms are in force then anyhow: nothing is published")
    elif as_json:
        click.echo(to_line(event))
    else:
        click.echo(f"{done}: {_sentence(event.data)}")


def _sentence(said: TermsPublished) -> str:
    since, note = f"{said.in_force_from:%Y-%m-%d %H:%M:%S} UTC", f"; {visible(said.note)}" if said.note else ""
    numbers = f"τ {said.tau_micros_per_nat:,} micros per nat, {said.currency}, rule {said.payment_rule}, {said.draw}"
    sizes = (
        f"candidates {said.candidates_least} to {said.candidates_most}, "
        f"tokens {said.max_tokens_least} to {said.max_tokens_most}"
    )
    return f"from {since}: {numbers}, {sizes}, models {_models(said.models)}{note}"


def _models(models: Sequence[NamedModel]) -> str:
    return ", ".join(visible(f"{one.name}@{one.model_sha256[:12]}") for one in models) or "not named"
