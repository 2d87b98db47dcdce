"""Which models can work on one auction together: those that mean the same by a token id."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from workers.engines.base import Embedder, Scorer
from workers.engines.lazy import Closable
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


def require_same_tokenizer(model: Scorer | Embedder, reference: Scorer) -> None:
    """SettingsError unless the model reads the reference engine's tokens.

    How many ids each counts does not matter: models of one family pad their vocabularies differently, and a server does
    not say its padding. Every model's limit covers its tokenizer (see Limits), and so the tokens of any reply.
    """
    require_tokenizer(model.identity.name, model.identity.tokenizer_sha256, reference)


def require_tokenizer(name: str, sha256: str, reference: Scorer) -> None:
    """SettingsError unless that is the tokenizer of the reference engine; `name`: of what has it."""
    expected = reference.identity
    if sha256 != expected.tokenizer_sha256:
        raise SettingsError(
            f"{name} has the tokenizer {sha256[:12]}, the reference engine {expected.name} has "
            f"{expected.tokenizer_sha256[:12]}: replies pass between them as token ids; name a model of the same family"
        )


def require_scorable(model: Scorer, reference: Scorer) -> None:
    """The same, and every id that the model may draw, padding included, is one of the reference engine's."""
    require_same_tokenizer(model, reference)
    if model.limits.vocabulary > reference.limits.vocabulary:
        raise SettingsError(
            f"{model.identity.name} knows {model.limits.vocabulary} token ids, the reference engine "
            f"{reference.identity.name} only {reference.limits.vocabulary}: name a model with as many. An engine over "
            "HTTP knows those of vocab_size in the config.json of its tokenizer's folder, where there is one"
        )
