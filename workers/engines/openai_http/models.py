"""The models of a server as its `/v1/models` lists them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from workers.engines.base import Identity, Limits
from workers.engines.openai_http.client import Client
from workers.engines.openai_http.response import Unusable, most_bytes, one_line
from workers.errors import SettingsError

CALLS = "POST /v1/completions draws with log-probabilities, and scores by prompt_logprobs"
MAX_CARDS_BYTES = 1 << 20  # a model's card has about 600


@dataclass(frozen=True, slots=True)
class Served:
    """A model of the server: its name there, who it is, and what it can take."""

    name: str
    identity: Identity
    limits: Limits


@dataclass(frozen=True, slots=True)
class Card:
    """What the server says of a model. `parent` is the model that an adapter rests on."""

    id: str
    root: str | None
    parent: str | None
    max_model_len: int | None


async def listed(client: Client, *, ahead: bool = False) -> tuple[str, dict[str, Card]]:
    """The server's version, and its models by name."""
    version = await client.get("/version", read_version, most_bytes(), ahead=ahead)
    return version, await client.get("/v1/models", read_cards, MAX_CARDS_BYTES, ahead=ahead)


def read_version(document: Any) -> str:
    """Unusable: this names none, or not on one line of a message."""
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(version, str) or version != one_line(version):
        raise Unusable("/version does not name a version")
    return version


def read_cards(document: Any) -> dict[str, Card]:
    """By id. Unusable: this is no list of models."""
    try:
        cards = [_card(one) for one in document["data"]]
    except (LookupError, TypeError, ValueError):
        raise Unusable("/v1/models does not list models") from None
    return {card.id: card for card in cards}


def _card(entry: Mapping[str, Any]) -> Card:
    card = Card(entry["id"], entry.get("root"), entry.get("parent"), entry.get("max_model_len"))
    texts = isinstance(card.id, str) and all(one is None or isinstance(one, str) for one in (card.root, card.parent))
    if not texts or not (card.max_model_len is None or type(card.max_model_len) is int):
        raise ValueError(entry)
    return card


def chosen(cards: Mapping[str, Card], url: str, model: str) -> Card:
    """The card of the model. SettingsError: the server has none of that name, or does not say how much it takes."""
    if model not in cards:
        names = one_line(", ".join(sorted(cards)) or "none")
        missing = f"has no model {model!r}" if model else "is named without a model (#MODEL)"
        raise SettingsError(f"the engine at {url} {missing}; the server's models: {names}")
    if _context(cards, cards[model]) < 1:
        raise SettingsError(f"{url} does not say how many tokens {model!r} takes (max_model_len in /v1/models)")
    return cards[model]


def adapters_of(cards: Mapping[str, Card], base: Card) -> list[Card]:
    """The cards of the LoRA adapters that rest on `base`."""
    return [card for card in cards.values() if card.parent == base.id]


def served(cards: Mapping[str, Card], card: Card, version: str, tokenizer_sha256: str, vocabulary: int) -> Served:
    """Who the model is: `model_sha256` is of what the server says that it is, for its weights are not to be seen.

    That is the JSON of id, root, parent and max_model_len of its card and the server's version, keys sorted. Nor does
    the server say how large the `vocabulary` is. One token of max_model_len is always generated.
    """
    text = json.dumps(asdict(card) | {"version": version}, sort_keys=True, separators=(",", ":"))
    model = sha256(text.encode()).hexdigest()
    identity = Identity("http", f"vllm {version}", model, tokenizer_sha256, CALLS)
    return Served(card.id, identity, Limits(vocabulary, _context(cards, card) - 1))


def _context(cards: Mapping[str, Card], card: Card) -> int:
    """Tokens of prompt and reply together; an adapter takes what its base does. 0: the server does not say."""
    base = cards.get(card.parent or "")
    return card.max_model_len or (base.max_model_len if base else None) or 0
