"""`tessera offsets set`: where a stage goes on, by decision of a person."""

import asyncio
import json

import click

from schemas.letter import Place
from workers.cli import options
from workers.cli.confirmation import require_yes
from workers.errors import TesseraError
from workers.operations.redrive import parse_place
from workers.pipeline import STAGES
from workers.settings import Settings
from workers.stage import StageSpec
from workers.stream.admin.set_position import PositionSet, set_position


@click.command("set")
@click.argument("place", metavar="TOPIC/PARTITION/OFFSET")
@click.option("--stage", "name", type=click.Choice([*STAGES]), help="Which of its readers. [default: the first]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.bootstrap_servers
@options.as_json
def set_(place: str, name: str | None, yes: bool, bootstrap_servers: str | None, as_json: bool) -> None:
    """Let a stage go on at another record of its input, further on or further back.

    In place of Kafka's own tools: they do not write into the log of positions that stages go by, so an offset that they
    set back is not followed. The stage must not be running anywhere. It needs the rights of the stage.

    Further on, the records between get neither a reply nor a dead letter. Further back, they are worked on again, which
    costs the work and no money: settlement publishes and bills nothing a second time that it remembers. What was
    refused there becomes a dead letter again.

    \b
    Examples:
      tessera offsets set auction.query.submitted.v1/0/1234
      tessera offsets set auction.candidates.scored.v1/3/17 --stage incentives --yes
    """
    wanted, settings = parse_place(place, _read_by_stages), Settings.read(bootstrap_servers=bootstrap_servers)
    spec = _stage(wanted, name)
    if not yes:
        require_yes(f"let stage {spec.name} go on at {wanted}?")
    done = asyncio.run(set_position(settings, spec, wanted))
    click.echo(json.dumps(_as_dict(wanted, done)) if as_json else _sentence(wanted, done))


def _read_by_stages(topic: str) -> str:
    topics = [*dict.fromkeys(spec.consumes.name for spec in STAGES.values())]
    if topic in topics:
        return topic
    raise TesseraError(f"no stage reads {topic!r}: they read {', '.join(topics)}")


def _stage(place: Place, name: str | None) -> StageSpec:
    readers = {spec.name: spec for spec in STAGES.values() if spec.consumes.name == place.topic}
    if name is not None and name not in readers:
        raise TesseraError(f"stage {name} does not read {place.topic}: {' and '.join(readers)} does")
    return readers[name or next(iter(readers))]


def _as_dict(place: Place, done: PositionSet) -> dict[str, object]:
    return {
        "group": done.group,
        "topic": place.topic,
        "partition": place.partition,
        "committed_before": done.before,
        "committed": done.after.base,
        "early": len(done.after.done),
    }


def _sentence(place: Place, done: PositionSet) -> str:
    was = "nobody knows where it was" if done.before < 0 else f"it was at {done.before}"
    early = f"; {len(done.after.done):,} beyond it are finished" if done.after.done else ""
    return (
        f"group {done.group} goes on at offset {done.after.base} of {place.topic} partition {place.partition}: {was}"
        f"{early}"
    )
