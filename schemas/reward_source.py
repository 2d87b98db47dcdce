"""Where an advertiser's rewards come from: its prompt, an adapter, a model of its own, or a probe."""

from operator import not_
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.payload import Part

Name = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,500}$")]
FileName = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
TimeoutS = Annotated[float, Field(gt=0, le=600)]


class SourceChoice(Part):
    """What every choice has in common."""


class Prompted(SourceChoice):
    """The reference engine is told to advertise: the default."""

    source: Literal["prompt"]


class Adapted(SourceChoice):
    """LoRA weights on the reference engine."""

    source: Literal["lora"]
    adapter: Name = Field(description="Name of the weights, as the engine knows them.")


class ThroughEngine(SourceChoice):
    """Through an engine."""

    timeout_s: TimeoutS = Field(default=10.0, description="What one auction waits for the engine, seconds.")
    api_key_file: FileName | None = Field(default=None, description="File with the key that the engine asks for.")
    tokenizer: FileName | None = Field(default=None, description="Folder with a tokenizer like its model's.")
    hide_rivals: bool = Field(
        default=False,
        exclude_if=not_,
        description="Whether the engine reads no reply in which somebody is named who bids beside its advertiser.",
    )


class Owned(ThroughEngine):
    """A model of the advertiser's own."""

    source: Literal["model"]
    engine: Name = Field(description="The advertiser's model, by the URL of its engine.")


class Probed(ThroughEngine):
    """A linear function of an embedding, of the reference engine where no other is named."""

    source: Literal["linear_probe"]
    weights_file: FileName = Field(description="File with the function's weights.")
    engine: Name | None = Field(default=None, description="Whose embedding; left out: the reference engine's.")


AnyChoice = Annotated[Prompted | Adapted | Owned | Probed, Field(discriminator="source")]
