"""`tessera credit`: some or all of one charge taken back."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import click

from schemas.billing import AdvertiserCharged, AdvertiserCredited
from schemas.envelope import Event, from_record
from schemas.lines import to_line
from schemas.payload import IDENTIFIER
from schemas.text import plain_line
from schemas.topics import CHARGED, CREDITED, Topic
from workers.app.bus import bus_of
from workers.cli import options
from workers.cli.confirmation import require_yes
from workers.errors import BrokerError, TesseraError
from workers.ledger.amounts import money, read_amount
from workers.ledger.credits import Correction, issue
from workers.pipeline import now
from workers.settings import Settings
from workers.stream.connection.clients import Clients
from workers.stream.exclusive_writer import exclusive_writer
from workers.stream.kafka import KafkaBus

TRANSACTIONAL_ID = "auction.creditor.billing"
ALL = "all"
MOST_OF_A_REASON = 500


class MoneyOption(click.ParamType[int | None, Any]):
    """Micros; None for `all`."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        try:
            return None if value == ALL else read_amount(value)
        except ValueError as error:
            self.fail(f"{error}; or {ALL!r}, what is left of the charge", param, ctx)


def _reason(context: click.Context, parameter: click.Parameter, given: str) -> str:
    try:
        if len(found := plain_line(given)) > MOST_OF_A_REASON:
            raise ValueError(f"it has more than {MOST_OF_A_REASON} characters")
        return found
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _matching(pattern: str, what: str) -> Any:
    def check(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
        if given is not None and not re.fullmatch(pattern, given):
            raise click.BadParameter(f"{given!r} is no {what}")
        return given

    return check


@click.command()
@click.argument("charge_id", callback=_matching(r"[0-9a-f]{64}", "charge id: one has 64 hexadecimal digits"))
@click.option("--amount", type=MoneyOption(), required=True, metavar="AMOUNT|all", help="In whole units: 0.001500.")
@click.option("--reason", required=True, callback=_reason, help="One line for the advertiser's statement.")
@click.option(
    "--key",
    default="first",
    show_default=True,
    callback=_matching(IDENTIFIER, "key: letters, digits and .:_-"),
    help="Tells the credits of one charge apart: a second one needs another key.",
)
@click.option("--advertiser", "advertiser_id", metavar="ID", help="Whose charge it is: fewer bills are read.")
@click.option("--dry-run", is_flag=True, help="Say what would be credited, and write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.bootstrap_servers
@options.as_json
def credit(
    charge_id: str,
    amount: int | None,
    reason: str,
    key: str,
    advertiser_id: str | None,
    dry_run: bool,
    yes: bool,
    bootstrap_servers: str | None,
    as_json: bool,
) -> None:
    """Take back some or all of one charge: a credit on auction.billing.credited.v1. The bill stays as it was.

    All credits of a charge together never exceed it, however many people issue some at once. The same command once
    more credits nothing a second time, so repeat it when you do not know whether it was done. The audit checks credits
    against the bills they name.

    Charge ids are in `tessera statement --csv` and its other forms for machines, in `tessera explain --json` and in
    the bills. Needs the rights of auction.creditor.

    \b
    Examples:
      tessera credit 428f...5b26 --amount 0.000270 --reason 'shown to a test user' --dry-run
      tessera credit 428f...5b26 --amount all --reason 'the reply was never delivered' --yes
    """
    settings = Settings.read(bootstrap_servers=bootstrap_servers)
    request = _Request(settings, charge_id, advertiser_id, Correction(amount, reason, key))
    if dry_run or not yes:
        planned = asyncio.run(request.planned())
        if dry_run or planned is None:
            _tell(planned, as_json, "would be credited")
            return
        data = planned.data
        question = f"credit {money(data.credit_micros, data.currency)} to {data.advertiser_id}?"
        require_yes(question)
    _tell(asyncio.run(request.issued()), as_json, "credited")


@dataclass(frozen=True)
class _Request:
    settings: Settings
    charge_id: str
    advertiser_id: str | None
    wanted: Correction

    async def planned(self) -> Event[AdvertiserCredited] | None:
        """The credit as it would be issued now; None: it was before."""
        bus = bus_of(self.settings)
        return await self._next(bus, await self._bill(bus))

    async def issued(self) -> Event[AdvertiserCredited] | None:
        """The credit once it is committed; None: it was before."""
        bus = bus_of(self.settings)
        bill = await self._bill(bus)
        try:
            async with exclusive_writer(Clients(self.settings), TRANSACTIONAL_ID) as writer:
                event = await self._next(bus, bill)  # read only now: nobody else can add one before ours
                if event is not None:
                    await writer.publish(event.to_record())
        except BrokerError as error:
            raise BrokerError(f"{error}. Give the same command again: it credits nothing twice") from error
        return event

    async def _next(self, bus: KafkaBus, bill: Event[AdvertiserCharged]) -> Event[AdvertiserCredited] | None:
        credits = [event.data async for event in self._events(bus, CREDITED, bill.data.advertiser_id)]
        return issue(bill, credits, self.wanted, now())

    async def _bill(self, bus: KafkaBus) -> Event[AdvertiserCharged]:
        async for event in self._events(bus, CHARGED, self.advertiser_id):
            return event
        whose = f" of {self.advertiser_id}" if self.advertiser_id else ""
        raise TesseraError(
            f"Kafka holds no charge {self.charge_id}{whose}. Charge ids are in `tessera statement --csv`; bills are "
            f"kept for {CHARGED.retention.days} days"
        )

    async def _events(self, bus: KafkaBus, topic: Topic, advertiser_id: str | None) -> AsyncIterator[Event[Any]]:
        """Events of the topic about this charge. BadRecord: one of them cannot be read."""
        key, needle = advertiser_id.encode() if advertiser_id else None, f'"{self.charge_id}"'.encode()
        async with aclosing(bus.stored([topic.name], key)) as records:
            async for record in records:
                if needle in (record.value or b""):  # millions of others are not decoded
                    event: Event[Any] = from_record(record, topic)
                    if event.data.charge_id == self.charge_id:
                        yield event


def _tell(event: Event[AdvertiserCredited] | None, as_json: bool, done: str) -> None:
    """The credit as its line; for people a sentence. Nothing was to do: nothing for machines."""
    if event is None:
        if not as_json:
            click.echo("this credit was issued before: nothing is credited a second time")
    elif as_json:
        click.echo(to_line(event))
    else:
        data = event.data
        amount, whole = money(data.credit_micros, data.currency), money(data.charge_micros, data.currency)
        click.echo(f"{amount} of {whole} {done} to {data.advertiser_id}, query {data.query_id}, key {data.credit_key}")
