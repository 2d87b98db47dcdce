"""Options that several commands share: the same name, the same words, the same default everywhere."""

import click

from schemas.reasons import DeadLetterReason

bootstrap_servers = click.option(
    "--bootstrap-servers",
    metavar="HOST:PORT[,...]",
    help="Kafka brokers. Without it TESSERA_BOOTSTRAP_SERVERS, without that localhost:9092.",
)

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object per line, for machines.")

engine = click.option("--engine", metavar="NAME", help="Language model; see TESSERA_ENGINE. [default: embedded]")

candidates = click.option(
    "--candidates", type=int, metavar="M", help="Candidate replies per auction; see TESSERA_CANDIDATES. [default: 20]"
)

proposal = click.option(
    "--proposal",
    type=click.Choice(["context_aware", "reference"]),
    help="Where candidates are drawn from; see TESSERA_PROPOSAL. [default: context_aware]",
)

dead_letter_reason = click.option(
    "--reason",
    type=click.Choice([reason.name for reason in DeadLetterReason]),
    metavar="REASON",
    help=f"Only those refused for this reason: {', '.join(reason.name for reason in DeadLetterReason)}.",
)
