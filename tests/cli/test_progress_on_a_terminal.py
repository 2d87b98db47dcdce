"""Commands that show how far they are do so on a terminal, too, and end there as they end in a pipe."""

from pathlib import Path

import pytest

from tests.cli.test_terminals import on_a_terminal
from tests.support.worker_process import tessera

COMMANDS = Path(__file__).parents[2] / "workers" / "cli"
IN_MEMORY = {
    "audit_models.py": ("audit", "LOG", "--resample", "1", "--rescore", "1"),
    "audited_log.py": ("audit", "LOG"),
    "demo.py": ("demo", "--limit", "2"),
    "experiment.py": ("experiment", "decoding"),
    "experiment_paper.py": ("experiment", "run", "--limit", "1", "--seeds", "1", "--samples", "FOLDER"),
    "prove.py": ("prove", "--auctions", "20"),
    "splitting.py": ("splitting", "LOG"),
}
ON_KAFKA = {
    "dead_letter_source.py": ("dlq", "list"),
    "waiting.py": ("doctor", "--kafka"),
    "witness.py": ("verify",),  # and `export`, with the same bar
}
BROKERS_ARE_KILLED = {"marker_probe_view.py"}  # `doctor --marker-probe`: minutes; its columns are rich's own
FINDINGS = 1  # what other tests left on a broker may be one


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("progress") / "log.jsonl"
    path.write_bytes(tessera("demo", "--json", "--limit", "2").stdout)
    return path


@pytest.mark.parametrize("arguments", IN_MEMORY.values(), ids=IN_MEMORY)
def test_progress_is_shown_on_a_terminal(arguments: tuple[str, ...], log: Path) -> None:
    places = {"LOG": str(log), "FOLDER": str(log.parent / "new")}

    code, shown = on_a_terminal(*(places.get(one, one) for one in arguments))

    assert (code, "Traceback" in shown) == (0, False), shown


@pytest.mark.kafka
@pytest.mark.parametrize("arguments", ON_KAFKA.values(), ids=ON_KAFKA)
def test_progress_of_reading_kafka_is_shown_on_a_terminal(arguments: tuple[str, ...], topics: str) -> None:
    code, shown = on_a_terminal(*arguments, kafka=topics)

    assert code in (0, FINDINGS) and "Traceback" not in shown, shown


def test_each_module_that_shows_progress_is_tested_on_a_terminal() -> None:
    modules = {path.name for path in COMMANDS.glob("*.py") if "rich.progress" in path.read_text(encoding="utf-8")}

    assert modules == IN_MEMORY.keys() | ON_KAFKA.keys() | BROKERS_ARE_KILLED
