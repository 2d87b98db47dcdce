"""Where an advertiser's rewards come from: its prompt, an adapter, a model of its own, or a probe."""

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
    adapter: Name


class ThroughEngine(SourceChoice):
    """Through an engine. `timeout_s`: what one auction waits for it; `tokenizer`: a folder like its model's."""

    timeout_s: TimeoutS = 10.0
    api_key_file: FileName | None = None
    tokenizer: FileName | None = None


class Owned(ThroughEngine):
    """A model of the advertiser's own."""

    source: Literal["model"]
    engine: Name


class Probed(ThroughEngine):
    """A linear function of an embedding, of the reference engine where no other is named."""

    source: Literal["linear_probe"]
    weights_file: FileName
    engine: Name | None = None


AnyChoice = Annotated[Prompted | Adapted | Owned | Probed, Field(discriminator="source")]
