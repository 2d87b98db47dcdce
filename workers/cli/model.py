"""`tessera model`: language models made ready for the engines."""

from pathlib import Path

import click

from workers.cli import options
from workers.engines.model_folder import CT2
from workers.engines.tempering import temper as write_tempered

SOURCE = click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="FOLDER")
OUT = click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FOLDER", help="Folder to make; not there yet."
)


@click.group(cls=options.Group)
def model() -> None:
    """Make a language model ready for an engine: decode it at a temperature, or run it without a GPU."""


@model.command("import")
@click.argument("source", type=click.Path(path_type=Path, exists=True), metavar="FOLDER|FILE.gguf")
@OUT
def import_(source: Path, out: Path) -> None:
    """Make of a Llama, a folder as Transformers saves it or a GGUF file, the folder of TESSERA_ENGINE=embedded:FOLDER.

    vLLM and a server read the same folder. No number changes: a model of 16 bits is stored in 32, and computed in them.
    GGUF files need pip install 'tessera-auction[gguf]'.

    \b
    Example:
      tessera model import smollm2 --out smollm2-here
      tessera demo --engine embedded:smollm2-here --limit 5
    """
    from workers.engines.embedded.conversion import import_folder, import_gguf

    (import_folder if source.is_dir() else import_gguf)(source, out)
    click.echo(f"{out} is ready: tessera demo --engine embedded:{out} --limit 5")


@model.command()
@SOURCE
@click.option(
    "--temperature", "-t", required=True, type=float, help="T: logits are divided by it. Below 1 is more sure."
)
@OUT
def temper(source: Path, temperature: float, out: Path) -> None:
    """Write the model that is FOLDER's model decoded at a temperature.

    Auctions draw and score with one distribution, at temperature 1. This puts the temperature into the weights: the
    final norm is divided by T, and so is every logit, exactly. Reference, proposal and advertisers' models then mean
    the same by a probability, and events name the model with its temperature. A model whose logits are capped is
    refused, and one of a family that is not known to be linear there. There is no such model for top-p: replies that
    it cuts off would have probability zero, and no weight could be given to them.

    \b
    Examples:
      tessera model temper smollm2 --temperature 0.8 --out smollm2-at-0.8
      tessera doctor --engine vllm:smollm2-at-0.8
    """
    write_tempered(source, temperature, out)
    if (source / CT2).is_dir():
        from workers.engines.embedded.conversion import add_ct2

        add_ct2(out)
    click.echo(f"{out} is {source} decoded at temperature {temperature:g}")
