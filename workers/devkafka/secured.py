"""Makes the development broker one with TLS, logins and rights: an authority, users, and what clients need."""

import secrets
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from workers.errors import BrokerError, MissingProgram
from workers.settings import Settings

ADMIN = "admin"
PASSWORD_BYTES = 24
OPENSSL_TIMEOUT_S = 30.0
DAYS = "3650"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
EXTENSIONS = "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nbasicConstraints=CA:FALSE\n"


class Secured:
    """Users and certificates of one broker. `folder` holds the authority's and the broker's keys: for development only.

    The users exist from the broker's first start on; ADMIN may do everything, the others nothing until it is granted.
    """

    template = Path(__file__).with_name("server-sasl.properties")

    def __init__(self, folder: Path, users: Iterable[str]) -> None:
        self.folder = folder.resolve()
        self.passwords = {user: secrets.token_urlsafe(PASSWORD_BYTES) for user in (ADMIN, *users)}

    @property
    def ca_file(self) -> Path:
        """What clients must trust."""
        return self.folder / "ca.pem"

    @property
    def places(self) -> dict[str, str]:
        """What the template asks for beside ports and folders."""
        return {"tls": str(self.folder), "admin": ADMIN, "admin_password": self.passwords[ADMIN]}

    @property
    def format_options(self) -> list[str]:
        """For Kafka's storage tool, so that the first node that starts knows its users."""
        users = self.passwords.items()
        return [f"--add-scram=SCRAM-SHA-512=[name={name},password={password}]" for name, password in users]

    def settings(self, bootstrap_servers: str, user: str = ADMIN, **more: object) -> dict[str, object]:
        """Settings of a client that is this user."""
        return {
            "bootstrap_servers": bootstrap_servers,
            "security_protocol": "SASL_SSL",
            "sasl_username": user,
            "sasl_password": self.passwords[user],
            "tls_ca_file": str(self.ca_file),
            **more,
        }

    def client(self, bootstrap_servers: str, user: str = ADMIN) -> Settings:
        """The same for this process."""
        return Settings.read(**self.settings(bootstrap_servers, user))

    def make_certificates(self) -> None:
        """Once for each folder. MissingProgram: there is no `openssl`. BrokerError: it fails."""
        if (self.folder / "broker.pem").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        (self.folder / "extensions").write_text(EXTENSIONS)
        self._openssl(
            "req", "-x509", *KEY, "-days", DAYS, "-subj", "/CN=development", "-keyout", "ca.key", "-out", "ca.pem"
        )
        self._openssl("req", *KEY, "-subj", "/CN=localhost", "-keyout", "broker.key", "-out", "broker.csr")
        signed = (
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            "extensions",
            "-out",
            "broker.crt",
        )
        self._openssl("x509", "-req", "-in", "broker.csr", "-days", DAYS, *signed)
        both = (self.folder / name for name in ("broker.key", "broker.crt"))
        (self.folder / "broker.pem").write_text("".join(path.read_text() for path in both))

    def _openssl(self, *arguments: str) -> None:
        if (openssl := shutil.which("openssl")) is None:
            raise MissingProgram(
                "certificates need the program `openssl`; on Debian and Ubuntu: apt-get install openssl"
            )
        command = [openssl, *arguments]
        try:
            ended = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=OPENSSL_TIMEOUT_S)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise BrokerError(f"openssl {arguments[0]} did not end within {OPENSSL_TIMEOUT_S:g} s") from None
        if ended.returncode:
            raise BrokerError(f"openssl {arguments[0]}: {ended.stderr.strip()}")
