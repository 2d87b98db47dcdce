"""What clients are told of the connection, and which settings are refused before anything is connected."""

import os
import ssl
from pathlib import Path

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
)

from workers.devkafka.secured import Secured
from workers.errors import MissingProgram, SettingsError
from workers.settings import Settings
from workers.stream.connection.access_errors import READ, WRITE, denied
from workers.stream.connection.clients import Clients
from workers.stream.connection.security import ANONYMOUS, connection, user_of

SECRET = "a password that nobody may see"  # noqa: S105  # opens nothing
LOGIN = {"security_protocol": "SASL_SSL", "sasl_username": "auction.scoring", "sasl_password": SECRET}


def told(**given: object) -> dict[str, object]:
    return connection(Settings.read(**{"allow_plaintext": False, **given}))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that openssl makes for a broker; its certificate serves as a client's here."""
    secured = Secured(tmp_path_factory.mktemp("tls"), ())
    try:
        secured.make_certificates()
    except MissingProgram as missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(missing))
    return secured.folder


def test_a_login_goes_over_tls_that_checks_the_host_name(tls: Path) -> None:
    options = told(**LOGIN, tls_ca_file=str(tls / "ca.pem"))

    context = options.pop("ssl_context")
    assert isinstance(context, ssl.SSLContext)
    assert context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED
    assert [cert["subject"] for cert in context.get_ca_certs()] == [((("commonName", "development"),),)]
    assert options == {
        "bootstrap_servers": "localhost:9092",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "auction.scoring",
        "sasl_plain_password": SECRET,
    }
    assert user_of(options) == "user auction.scoring"


def test_without_a_file_the_systems_authorities_are_trusted() -> None:
    context = told(**LOGIN)["ssl_context"]

    assert isinstance(context, ssl.SSLContext) and context.verify_mode is ssl.CERT_REQUIRED


def test_a_client_certificate_counts_as_a_login(tls: Path) -> None:
    certificate = {"tls_certificate_file": str(tls / "broker.crt"), "tls_key_file": str(tls / "broker.key")}

    options = told(security_protocol="SSL", tls_ca_file=str(tls / "ca.pem"), **certificate)

    assert options["security_protocol"] == "SSL" and "sasl_plain_username" not in options


def test_the_password_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\r\n")

    options = told(security_protocol="SASL_SSL", sasl_username="a", sasl_password_file=str(tmp_path / "password"))

    assert options["sasl_plain_password"] == SECRET


def test_plaintext_is_used_only_when_it_is_allowed_explicitly() -> None:
    assert told(allow_plaintext=True) == {"bootstrap_servers": "localhost:9092"}
    assert told(allow_plaintext=True, **LOGIN)["security_protocol"] == "SASL_SSL"  # no permission to drop a login


@pytest.mark.parametrize(
    ("given", "says_so"),
    [
        ({}, r"nothing protects the connection[\s\S]*SASL_SSL[\s\S]*TESSERA_ALLOW_PLAINTEXT=true"),
        ({"sasl_username": "a", "allow_plaintext": True}, "TESSERA_SASL_USERNAME is set.*to SASL_SSL"),
        ({"tls_certificate_file": "a", "allow_plaintext": True}, "TESSERA_TLS_CERTIFICATE_FILE is set.*to SSL"),
        ({"security_protocol": "SSL"}, "SSL without TESSERA_TLS_CERTIFICATE_FILE"),
        ({"security_protocol": "SASL_SSL"}, "TESSERA_SASL_USERNAME is not set"),
        ({**LOGIN, "sasl_password": None}, "are neither set"),
        ({**LOGIN, "sasl_password_file": "a"}, "are both set"),
        ({**LOGIN, "sasl_password": ""}, "TESSERA_SASL_PASSWORD: the password is empty"),
        ({**LOGIN, "sasl_password": None, "sasl_password_file": "/none"}, "TESSERA_SASL_PASSWORD_FILE: /none cannot"),
        ({**LOGIN, "tls_ca_file": "/none"}, "TESSERA_TLS_CA_FILE: /none cannot be read: No such file"),
        ({**LOGIN, "tls_ca_file": __file__}, "TESSERA_TLS_CA_FILE: .*is it PEM"),
        ({**LOGIN, "tls_key_file": "a"}, "belong together"),
        ({**LOGIN, "tls_key_file": "/none", "tls_certificate_file": "/none"}, "TESSERA_TLS_KEY_FILE: /none, /none"),
        ({**LOGIN, "security_protocol": "SASL_PLAINTEXT"}, "TESSERA_SECURITY_PROTOCOL"),
    ],
)
def test_incomplete_tls_or_login_settings_are_refused_and_no_secret_is_shown(
    given: dict[str, object], says_so: str
) -> None:
    with pytest.raises(SettingsError, match=says_so) as refused:
        told(**given)

    assert SECRET not in str(refused.value)


def test_a_password_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SECRET not in repr(Settings.read(**LOGIN))

    monkeypatch.setenv("TESSERA_SASL_PASSWORT", SECRET)
    with pytest.raises(SettingsError, match="did you mean TESSERA_SASL_PASSWORD") as refused:
        Settings.read()
    assert SECRET not in str(refused.value)


def test_clients_refuse_insecure_settings_before_they_connect() -> None:
    with pytest.raises(SettingsError, match="nothing protects"):
        Clients(Settings.read(allow_plaintext=False))


@pytest.mark.parametrize(
    ("error", "verb", "says"),
    [
        (TopicAuthorizationFailedError({"b", "a"}), WRITE, "user x write to topic a, b"),
        (TopicAuthorizationFailedError("a"), READ, "user x read topic a"),
        (GroupAuthorizationFailedError("g"), READ, "user x use group g"),
        (ClusterAuthorizationFailedError("ignored"), WRITE, "user x write to any topic"),
    ],
)
def test_a_missing_kafka_right_is_one_sentence(error: Exception, verb: str, says: str) -> None:
    refusal = denied(error, "user x", verb)

    assert refusal is not None and says in str(refusal)


def test_only_authorization_errors_and_errors_caused_by_them_are_access_errors() -> None:
    wrapped = ValueError()
    wrapped.__cause__ = TopicAuthorizationFailedError("a")

    assert denied(KafkaConnectionError(), ANONYMOUS) is None
    assert denied(wrapped, ANONYMOUS) is not None
