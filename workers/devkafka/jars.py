"""What the development broker is made of: a Java on this machine, and Kafka's jars, fetched once with Maven."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from workers.errors import BrokerError, MissingProgram
from workers.user_folders import cache_folder

POM = Path(__file__).with_name("pom.xml")
VERSION = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}")
MIN_JAVA = 17
INSTALL = "install it, on Debian and Ubuntu with: apt-get install openjdk-17-jre-headless maven"
MAVEN_TIMEOUT_S = 900.0
JAVA_TIMEOUT_S = 30.0


def find_java() -> str:
    """The path of a Java that runs Kafka; MissingProgram where there is none or only an old one."""
    if (java := shutil.which("java")) is None:
        raise MissingProgram(f"Kafka needs Java {MIN_JAVA} or newer, and there is no `java` on the PATH; {INSTALL}")
    answer = _version_of(java)
    version = re.search(r'version "(?:1\.)?(\d+)', answer)
    if version is None or int(version[1]) < MIN_JAVA:
        found = f"is Java {version[1]}" if version else "does not tell its version"
        raise MissingProgram(f"Kafka needs Java {MIN_JAVA} or newer, and {java} {found}; {INSTALL}")
    return java


def _version_of(java: str) -> str:
    """What `java -version` prints; nothing when it hangs."""
    try:
        ended = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=JAVA_TIMEOUT_S)  # noqa: S603
    except subprocess.TimeoutExpired:
        return ""
    return ended.stderr + ended.stdout


def kafka_version() -> str:
    """The version that pom.xml names."""
    return POM.read_text().partition("<kafka.version>")[2].partition("</kafka.version>")[0]


def fetch_jars(note: Callable[[str], None], version: str | None = None) -> Path:
    """The folder of the jars that pom.xml asks for, fetched on first use; `note` is told before that.

    `version`: another Kafka than the one pom.xml names, three numbers. MissingProgram: they have to be fetched and
    there is no Maven. BrokerError: no such version can be named, or Maven failed, with its last words.
    """
    version = version or kafka_version()
    if not VERSION.fullmatch(version):
        raise BrokerError(f"a Kafka version is three numbers, such as {kafka_version()}; {version!r} is none")
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:16]
    folder = cache_folder() / f"kafka-{version}-{digest}"
    if not folder.is_dir():
        _fetch(folder, version, note)
    return folder


def _fetch(folder: Path, version: str, note: Callable[[str], None]) -> None:
    if (maven := shutil.which("mvn")) is None:
        raise MissingProgram(f"Kafka is fetched with Maven, once, and there is no `mvn` on the PATH; {INSTALL}")
    note(f"fetching Kafka {version}, once, about 45 MB")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as scratch:
        _run_maven(maven, version, Path(scratch) / "jars")
        _move(Path(scratch) / "jars", folder)


def _run_maven(maven: str, version: str, into: Path) -> None:
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={into}"]
    command = [maven, "-q", "-B", "-f", str(POM), f"-Dkafka.version={version}", *goal]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=MAVEN_TIMEOUT_S)  # noqa: S603 - found above
    except subprocess.TimeoutExpired:
        raise BrokerError(f"Maven did not fetch Kafka {version} within {MAVEN_TIMEOUT_S:g} s") from None
    if ended.returncode:
        said = (ended.stdout + ended.stderr).strip()[:1_000]
        raise BrokerError(f"Maven could not fetch Kafka {version} (is the network there?):\n{said}")


def _move(jars: Path, folder: Path) -> None:
    """Into place in one step, so that a folder that exists is whole. Another process may have been faster."""
    try:
        jars.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
