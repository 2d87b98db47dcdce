"""`tessera schemas`: the JSON Schemas of events and receipts."""

import json
from pathlib import Path

import click

from schemas.publish import PUBLISHED, export
from workers.cli import options


@click.group(cls=options.Group)
def schemas() -> None:
    """The JSON Schemas of what crosses the topics, and of receipts."""


@schemas.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=PUBLISHED)
@options.as_json
def export_(folder: Path, as_json: bool) -> None:
    """Write the JSON Schema (2020-12) of every event and receipt into FOLDER.

    Without FOLDER they go to the package's own schemas/published, as a developer wants after a change.

    \b
    Example:
      tessera schemas export ./event-schemas
    """
    for path in export(folder):
        click.echo(json.dumps({"path": str(path)}) if as_json else str(path))
