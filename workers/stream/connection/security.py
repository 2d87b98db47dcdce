"""How a client of Kafka proves who it is, and knows whom it talks to: from the settings to what aiokafka is told."""

import logging
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiokafka.helpers import create_ssl_context

from workers.errors import SettingsError
from workers.settings import Settings

MAX_PASSWORD_BYTES = 4_096
ANONYMOUS = "this process, which has no user name"


def connection(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client is told of the cluster.

    SettingsError: nothing protects the connection and TESSERA_ALLOW_PLAINTEXT does not say that this is wanted, a
    variable of the protection is missing, or a file that one names cannot be used.
    """
    options: dict[str, Any] = {"bootstrap_servers": settings.bootstrap_servers}
    if settings.security_protocol == "PLAINTEXT":
        _refuse_unprotected(settings)
        return options
    options |= {"security_protocol": settings.security_protocol, "ssl_context": _tls(settings)}
    return options | _login(settings) if settings.security_protocol == "SASL_SSL" else options


class _EndOfTalk(logging.Filter):
    """Passes over a complaint of asyncio's: that a broker's last bytes came after our goodbye is no fault."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not (isinstance(error, ssl.SSLError) and error.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY")


logging.getLogger("asyncio").addFilter(_EndOfTalk())


def user_of(connection: Mapping[str, Any]) -> str:
    """Who a client is to Kafka, for messages."""
    return f"user {name}" if (name := connection.get("sasl_plain_username")) else ANONYMOUS


def _refuse_unprotected(settings: Settings) -> None:
    if settings.sasl_username or settings.tls_certificate_file:
        given = "TESSERA_SASL_USERNAME" if settings.sasl_username else "TESSERA_TLS_CERTIFICATE_FILE"
        wanted = "SASL_SSL" if settings.sasl_username else "SSL"
        raise SettingsError(
            f"{given} is set, but TESSERA_SECURITY_PROTOCOL is PLAINTEXT, which knows no users: set it to {wanted}"
        )
    if not settings.allow_plaintext:
        raise SettingsError(
            f"nothing protects the connection to Kafka at {settings.bootstrap_servers}: whoever reaches it could read "
            "queries and write bills. Set TESSERA_SECURITY_PROTOCOL=SASL_SSL with TESSERA_SASL_USERNAME and "
            "TESSERA_SASL_PASSWORD, or, on a machine for development, TESSERA_ALLOW_PLAINTEXT=true"
        )


def _tls(settings: Settings) -> ssl.SSLContext:
    """Host names are always checked; aiokafka has no switch for it."""
    certificate, key = settings.tls_certificate_file, settings.tls_key_file
    if bool(certificate) != bool(key):
        raise SettingsError("TESSERA_TLS_CERTIFICATE_FILE and TESSERA_TLS_KEY_FILE belong together: set both or none")
    if settings.security_protocol == "SSL" and not certificate:
        raise SettingsError(
            "TESSERA_SECURITY_PROTOCOL is SSL without TESSERA_TLS_CERTIFICATE_FILE: Kafka would not know who this is. "
            "Set the certificate and its key, or SASL_SSL with a user name and a password"
        )
    with _usable("TESSERA_TLS_CA_FILE", settings.tls_ca_file):
        context: ssl.SSLContext = create_ssl_context(cafile=settings.tls_ca_file or None)
    if certificate:
        with _usable("TESSERA_TLS_CERTIFICATE_FILE, TESSERA_TLS_KEY_FILE", f"{certificate}, {key}"):
            context.load_cert_chain(certificate, key, password="")  # else OpenSSL asks on the terminal
    return context


@contextmanager
def _usable(variables: str, files: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        raise SettingsError(
            f"{variables}: {files} cannot be used; is it PEM, without a passphrase? ({error})"
        ) from None
    except OSError as error:
        raise SettingsError(f"{variables}: {files} cannot be read: {error.strerror}") from None


def _login(settings: Settings) -> dict[str, Any]:
    if not settings.sasl_username:
        raise SettingsError("TESSERA_SASL_USERNAME is not set: with SASL_SSL Kafka asks every client who it is")
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": _password(settings),
    }


def _password(settings: Settings) -> str:
    given, file = settings.sasl_password, settings.sasl_password_file
    if (given is None) == (not file):
        raise SettingsError(
            f"TESSERA_SASL_PASSWORD and TESSERA_SASL_PASSWORD_FILE are {'both' if given else 'neither'} set: "
            f"Kafka wants the password of {settings.sasl_username}, from one of the two"
        )
    password = _first_line(file) if given is None else given.get_secret_value()
    if not password:
        raise SettingsError(f"TESSERA_SASL_PASSWORD{'_FILE' if file else ''}: the password is empty")
    return password


def _first_line(file: str) -> str:
    """A file's first line, without what an editor puts behind it."""
    try:
        with Path(file).open("rb") as stream:
            return stream.read(MAX_PASSWORD_BYTES).decode().split("\n")[0].rstrip("\r")
    except OSError as error:
        raise SettingsError(f"TESSERA_SASL_PASSWORD_FILE: {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"TESSERA_SASL_PASSWORD_FILE: {file} is not text") from None
