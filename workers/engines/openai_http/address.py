"""How a vLLM server and one of its models are named: `http://HOST:PORT#MODEL`, or `https:` and the same."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from workers.errors import SettingsError

FORM = "http[s]://HOST[:PORT][/PATH]#MODEL"
DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]  # scheme, host, port


@dataclass(frozen=True, slots=True)
class Address:
    """`url` has neither a slash nor the API's `/v1` at its end. `model` is empty where the name has none."""

    url: str
    model: str


def parse_address(name: str) -> Address:
    """The address in an engine's name. SettingsError: it has not the form above; the name, which may hold a password,
    is not shown.
    """
    url, _, model = name.partition("#")
    try:
        parts = urlsplit(url)
        well_formed = parts.scheme in DEFAULT_PORTS and _has_host(url) and parts.port != 0
        with_login = parts.username is not None or parts.password is not None
    except ValueError:  # a port that is no number, a bracket that is never closed
        well_formed = with_login = False
    if with_login:
        raise SettingsError(
            f"an engine's address has no user and password, for it is shown in messages; "
            f"the server's key is set in TESSERA_ENGINE_API_KEY and {FORM} is the whole form"
        )
    if not well_formed or parts.query:
        raise SettingsError(f"this is no address of a server: an engine over HTTP is named {FORM}")
    return Address(url.rstrip("/").removesuffix("/v1").rstrip("/"), model)


def names_server(name: str) -> bool:
    """Whether the engine of that name is reached over HTTP, or was meant to be."""
    return re.match(r"https?:|\w+://", name, re.IGNORECASE) is not None


def origin_of(name: str) -> Origin | None:
    """Whose server it is, by an engine's name; None: that of none. SettingsError: as above."""
    if not names_server(name):
        return None
    parts = urlsplit(parse_address(name).url)
    return parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]


def _has_host(url: str) -> bool:
    """As httpx reads the address, which is stricter."""
    import httpx

    try:
        return bool(httpx.URL(url).host)
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from error
