"""The examples of docs/languages.md in Java, Go, Node and with kcat: each sends a query and prints its reply.

Java's client is there wherever the development broker is. The others are fetched by their own tools, or have to be
installed: `slow`, and left out where the tool is missing.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.integration.test_readme import block
from tests.support.worker_process import worker
from workers.devkafka.jars import fetch_jars, find_java

TIMEOUT_S = 300


@pytest.fixture(scope="module")
def stages(topics: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("worker") / "log"
    with worker(["generation", "scoring", "settlement"], topics, log, candidates=2):
        yield topics


def found(program: str) -> str:
    path = shutil.which(program)
    return path or pytest.skip(f"there is no {program} here")


def run(command: Sequence[object], folder: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed_a_sold_reply(output: str) -> bool:
    return json.loads(output.strip().splitlines()[-1])["outcome"] == "sold"


@pytest.mark.kafka
def test_the_example_in_java_is_answered(stages: str, tmp_path: Path) -> None:
    java = find_java()
    if "jdk.compiler" not in run([java, "--list-modules"], tmp_path):
        pytest.skip("this Java has no compiler: a JDK is needed")
    (tmp_path / "Ask.java").write_text(block("java").replace("localhost:9092", stages))

    output = run([java, "-XX:TieredStopAtLevel=1", "-cp", f"{fetch_jars(print)}/*", "Ask.java"], tmp_path)

    assert printed_a_sold_reply(output)


@pytest.mark.kafka
@pytest.mark.slow
def test_the_example_in_go_is_answered(stages: str, tmp_path: Path) -> None:
    go = found("go")
    (tmp_path / "ask.go").write_text(block("go").replace("localhost:9092", stages))
    run([go, "mod", "init", "ask"], tmp_path)
    run([go, "get", "github.com/twmb/franz-go/pkg/kgo@v1.20.0"], tmp_path)

    assert printed_a_sold_reply(run([go, "run", "ask.go"], tmp_path))


@pytest.mark.kafka
@pytest.mark.slow
def test_the_example_in_node_is_answered(stages: str, tmp_path: Path) -> None:
    node, npm = found("node"), found("npm")
    (tmp_path / "ask.mjs").write_text(block("node").replace("localhost:9092", stages))
    run([npm, "install", "--silent", "kafkajs@2.2.4"], tmp_path)

    assert printed_a_sold_reply(run([node, "ask.mjs"], tmp_path))


@pytest.mark.kafka
@pytest.mark.slow
def test_the_lines_with_kcat_send_a_query_and_print_its_reply(stages: str, tmp_path: Path) -> None:
    found("kcat")
    lines = block("kcat").replace("localhost:9092", stages)
    send, read = lines[: lines.index("kcat -C")], lines[lines.index("kcat -C") :]
    run(["bash", "-ec", send], tmp_path)
    wait = f"until ({read}) | grep '^cookies-1 '; do sleep 0.5; done"

    output = run(["timeout", TIMEOUT_S / 2, "bash", "-c", wait], tmp_path)

    assert printed_a_sold_reply(output.removeprefix("cookies-1 "))
