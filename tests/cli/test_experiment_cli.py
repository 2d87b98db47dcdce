"""`tessera experiment`: its list, tables for machines, documents that anyone can make again."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.forked_command import tessera
from workers.cli.log_plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, log_plot
from workers.experiments.catalogue import EXPERIMENTS
from workers.experiments.figure import Curve, Plot

SVG = "{http://www.w3.org/2000/svg}"
TRUST = Path(__file__).parents[2] / "infra" / "trust"


def test_help_lists_every_experiment() -> None:
    done = tessera("experiment", "--help")

    assert all(name in done.stdout.decode() for name in EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_help_with_examples(name: str) -> None:
    done = tessera("experiment", name, "--help")

    assert done.returncode == 0
    assert f"tessera experiment {name}" in done.stdout.decode()


def test_json_has_one_object_for_each_row_at_full_precision() -> None:
    done = tessera("experiment", "decoding", "--json", "--seed", "3")

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["seed"] for row in rows} == {3}
    wrong = [row["error"] for row in rows if row["temperature"] == 0.8 and row["logged"] == "raw"]
    assert wrong and all(error != round(error, 6) for error in wrong)
    assert done.stderr == b""


def test_the_papers_evaluation_as_json_has_each_row_once_and_keeps_its_samples(tmp_path: Path) -> None:
    words = (
        "experiment",
        "run",
        "--limit",
        "1",
        "--seeds",
        "1",
        "--figure",
        "tau",
        "--json",
        "--samples",
        str(tmp_path),
    )
    done, again = tessera(*words), tessera(*words)

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    places = [(row["series"], row["x"]) for row in rows]
    assert len(set(places)) == len(places) and {row["figure"] for row in rows} == {"tau"}
    assert len({x for series, x in places if series == "revenue, nats"}) > 5
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    assert again.stdout == done.stdout and list(tmp_path.iterdir())


def test_the_committed_table_is_what_its_command_prints(tmp_path: Path) -> None:
    """Every line but the one that names the file; the numbers are rounded far above what machines disagree about."""
    committed = (TRUST / "decoding.md").read_text()
    assert "Made by `tessera experiment decoding --seed 1 --markdown infra/trust/decoding.md`." in committed

    done = tessera("experiment", "decoding", "--markdown", str(tmp_path / "again.md"))

    assert done.returncode == 0
    again = (tmp_path / "again.md").read_text()
    assert again.replace(str(tmp_path / "again.md"), "infra/trust/decoding.md") == committed


def test_a_folder_that_is_not_there_is_named_before_anything_runs(tmp_path: Path) -> None:
    done = tessera("experiment", "convergence", "--markdown", str(tmp_path / "no" / "file.md"), timeout_s=15)

    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("tessera: ") and "there is no folder" in line


def test_a_plot_is_an_svg_with_every_curve_inside_its_frame() -> None:
    dots = Curve("measured", (1.0, 30.0), (0.5, 0.002), 0, "dots")
    line = Curve("a < b", (1.0, 30.0), (0.4, 0.001), 1, "line")

    root = ElementTree.fromstring(log_plot(Plot("title", "x", "y", (dots, line))))  # noqa: S314  # our own text

    (drawn,) = root.iter(f"{SVG}polyline")
    places = [tuple(map(float, place.split(","))) for place in drawn.attrib["points"].split()]
    places += [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in root.iter(f"{SVG}circle")]
    assert len(places) == 4
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in places)
    assert places[0][0] == LEFT and places[1] == (WIDTH - RIGHT, HEIGHT - BOTTOM)
    assert places[2][1] < places[0][1] < places[1][1], "larger is higher"
    assert "a < b" in [text.text for text in root.iter(f"{SVG}text")]
