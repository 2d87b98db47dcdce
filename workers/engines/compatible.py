"""Which models can work on one auction together: those that mean the same by a token id."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from workers.engines.base import Embedder, Scorer
from workers.engines.late import Closable
from workers.errors import SettingsError

M = TypeVar("M", bound=Closable)


async def open_checked(opening: Awaitable[M], check: Callable[[M], None], where: str) -> M:
    """The model, once `check` has nothing against it, else closed again. SettingsErrors say `where` it was named."""
    try:
        model = await opening
        try:
            check(model)
        except SettingsError:
            await model.close()
            raise
    except SettingsError as error:
        raise SettingsError(f"{where}: {str(error).removeprefix('TESSERA_ENGINE: ')}") from None
    return model


def insist_same_tokenizer(model: Scorer | Embedder, reference: Scorer) -> None:
    """SettingsError unless the model reads the reference engine's tokens.

    It may know more ids than the reference engine: models of one family pad their vocabularies differently.
    """
    own, expected = model.identity, reference.identity
    if own.tokenizer_sha256 != expected.tokenizer_sha256:
        raise SettingsError(
            f"{own.name} has the tokenizer {own.tokenizer_sha256[:12]}, the reference engine {expected.name} has "
            f"{expected.tokenizer_sha256[:12]}: replies pass between them as token ids; name a model of the same family"
        )
    if model.limits.vocabulary < reference.limits.vocabulary:
        raise _other_size(model, reference)


def insist_same_vocabulary(model: Scorer, reference: Scorer) -> None:
    """The same, and every id that the model may draw is one of the reference engine's."""
    insist_same_tokenizer(model, reference)
    if model.limits.vocabulary != reference.limits.vocabulary:
        raise _other_size(model, reference)


def _other_size(model: Scorer | Embedder, reference: Scorer) -> SettingsError:
    return SettingsError(
        f"{model.identity.name} knows {model.limits.vocabulary} token ids, the reference engine "
        f"{reference.identity.name} {reference.limits.vocabulary}: name a model with as many"
    )
