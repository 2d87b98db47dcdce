"""The reward sources that a file of choices names, opened: each engine once, whoever it belongs to."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from schemas.reward_source import Adapted, Owned, Probed, Prompted
from workers.engines.base import Embedder, Engine
from workers.engines.calls import embedder_of
from workers.engines.lazy import Lazy
from workers.engines.options import EngineOptions
from workers.errors import SettingsError
from workers.rewards.bulkhead import Bulkhead
from workers.rewards.by_advertiser import ByAdvertiser, Chosen
from workers.rewards.choices import read_choices
from workers.rewards.hidden_rivals import HiddenRivals
from workers.rewards.linear_probe import Embeddings, LinearProbe, read_weights
from workers.rewards.log_ratio import LogRatio, Lora, OwnModel
from workers.rewards.observing import NoObserver, OwnModelObserver
from workers.rewards.own_engines import OVER_NETWORK, EngineAddress, OwnEngines, errors_at, located, require_dimensions
from workers.rewards.reading import read_bounded

MAX_KEY_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Sources:
    """The rewards of everybody; `unreached`: one sentence for each model that is not as it must be yet."""

    rewards: ByAdvertiser
    unreached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenEngines:
    """Engines that are open already, by name; they are closed by whoever opened them."""

    reference: Engine
    by_name: Mapping[str, Engine]
    options: EngineOptions  # that all were opened with
    observer: OwnModelObserver = field(default_factory=NoObserver)  # of advertisers' own models


async def open_sources(file: Path, known: OpenEngines, stack: AsyncExitStack) -> Sources:
    """What is opened is closed by `stack`. SettingsError names the file, the advertiser and the field.

    A server that does not answer, or not as it must, is no error: its advertiser abstains until it does.
    """
    engines = OwnEngines(known.by_name, known.reference, known.options)
    stack.push_async_callback(engines.close)
    opener = _Opener(file, known, engines)
    choices = read_choices(file).items()
    chosen = {id_: opener.source(id_, choice) for id_, choice in choices if not isinstance(choice, Prompted)}
    for source in chosen.values():
        if isinstance(source, Bulkhead):
            stack.push_async_callback(source.close)
    return Sources(ByAdvertiser(LogRatio(known.reference), chosen), await engines.reach())


@dataclass(frozen=True, slots=True)
class _Opener:
    """From one advertiser's choice to its source."""

    file: Path
    known: OpenEngines
    engines: OwnEngines
    shared: dict[Lazy[Embedder] | None, Embeddings] = field(default_factory=dict)

    def source(self, advertiser_id: str, choice: Adapted | Owned | Probed) -> Chosen:
        where = f"{self.file}: advertisers.{advertiser_id}"
        if isinstance(choice, Adapted):
            return self._lora(choice, where)
        return self._owned(choice, where) if isinstance(choice, Owned) else self._probed(choice, where)

    def _lora(self, choice: Adapted, where: str) -> Chosen:
        with errors_at(f"{where}.adapter"):
            return Lora(choice.adapter, self.known.reference.adapter(choice.adapter))

    def _owned(self, choice: Owned, where: str) -> Chosen:
        model = self.engines.model(self._address(choice.engine, choice, where), f"{where}.engine")
        source = _shown(OwnModel(model), choice)
        return source if model.model is self.known.reference else self._bulkhead(source, choice.engine, choice)

    def _probed(self, choice: Probed, where: str) -> Chosen:
        weights = read_weights(self.file.parent / choice.weights_file, f"{where}.weights_file")
        probe = _shown(LinearProbe(self._embeddings(choice, len(weights.w), where), weights), choice)
        return self._bulkhead(probe, choice.engine, choice) if choice.engine else probe

    def _bulkhead(self, source: Chosen, engine: str, choice: Owned | Probed) -> Bulkhead:
        """Told of by the engine's name as it was found: at most as many as there are engines (own_engines.py)."""
        name = located(engine, self.file.parent, self.known.by_name)
        return Bulkhead(source, choice.timeout_s, model=name, observer=self.known.observer)

    def _embeddings(self, choice: Probed, dimensions: int, where: str) -> Embeddings:
        if choice.engine is None:
            return self._of_reference(choice, dimensions, where)
        address = self._address(choice.engine, choice, where)
        lazy = self.engines.embedder(address, dimensions, f"{where}.engine")
        return self.shared.setdefault(lazy, Embeddings(lazy))

    def _of_reference(self, choice: Probed, dimensions: int, where: str) -> Embeddings:
        """Where the choice names no other: it is everybody's."""
        if choice.tokenizer:
            raise SettingsError(f"{where}.tokenizer: only an engine over HTTP needs one; name the engine too")
        embedder = embedder_of(self.known.reference)
        if embedder is None:
            raise SettingsError(
                f"{where}.engine: {self.known.reference.identity.name} gives no embeddings; name a server that does: "
                "http://HOST:PORT#MODEL"
            )
        with errors_at(f"{where}.weights_file"):
            require_dimensions(embedder, dimensions)
        return self.shared.setdefault(None, Embeddings(Lazy.of(embedder)))

    def _address(self, engine: str, choice: Owned | Probed, where: str) -> EngineAddress:
        name = located(engine, self.file.parent, self.known.by_name)
        return EngineAddress(name, self._key(choice, where), self._tokenizer(engine, choice, where))

    def _tokenizer(self, engine: str, choice: Owned | Probed, where: str) -> str:
        if choice.tokenizer is None:
            return ""
        if not engine.startswith(OVER_NETWORK):
            raise SettingsError(f"{where}.tokenizer: only an engine over HTTP needs one; {engine} has its own")
        return str(self.file.parent / Path(choice.tokenizer).expanduser())

    def _key(self, choice: Owned | Probed, where: str) -> str:
        """Never the reference server's key: an advertiser's server must not get to know it."""
        if choice.api_key_file is None:
            return ""
        named_by = f"{where}.api_key_file"
        path = self.file.parent / choice.api_key_file
        key = read_bounded(path, MAX_KEY_BYTES, named_by).strip()
        if not key.isascii() or not key.decode("ascii", "replace").isprintable():
            raise SettingsError(f"{named_by}: {path} holds no key: not one line of printable ASCII")
        return key.decode("ascii")


def _shown(source: Chosen, choice: Owned | Probed) -> Chosen:
    """The source, which may be shown no rival's name."""
    return HiddenRivals(source) if choice.hide_rivals else source
