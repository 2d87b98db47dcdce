"""How a vLLM server and one of its models are named: `http://HOST:PORT#MODEL`, or `https:` and the same."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from workers.errors import SettingsError

FORM = "http[s]://HOST[:PORT][/PATH]#MODEL"


@dataclass(frozen=True, slots=True)
class Address:
    """`url` has neither a slash nor the API's `/v1` at its end. `model` is empty where the name has none."""

    url: str
    model: str


def parse_address(name: str) -> Address:
    """The address in an engine's name. SettingsError: it has not the form above."""
    url, _, model = name.partition("#")
    try:
        parts = urlsplit(url)
        well_formed = parts.scheme in ("http", "https") and bool(httpx.URL(url).host) and parts.port != 0
    except (ValueError, httpx.InvalidURL):  # a port that is no number, a bracket that is never closed, a blank
        well_formed = False
    if not well_formed or parts.query:
        raise SettingsError(f"{url!r} is no address of a server; an engine over HTTP is named {FORM}")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(
            f"an engine's address has no user and password, for it is shown in messages; "
            f"the server's key is set in TESSERA_ENGINE_API_KEY and {FORM} is the whole form"
        )
    return Address(url.rstrip("/").removesuffix("/v1").rstrip("/"), model)
