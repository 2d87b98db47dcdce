"""A model with damaged weights loads and draws; `tessera doctor --engine` is where that has to be found."""

import shutil
from pathlib import Path

import pytest

from tests.engines import bundled
from workers.doctor.engine import inspect_engine
from workers.doctor.verdict import State
from workers.settings import Settings

pytestmark = pytest.mark.vllm


async def test_doctor_finds_weights_that_are_not_finite(tmp_path: Path) -> None:
    # Given a copy of the model, one of whose weights is not a number
    from safetensors.torch import load_file, save_file

    weights = Path(shutil.copytree(bundled.FOLDER, tmp_path / "model")) / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, weights, {"format": "pt"})

    # When it is examined
    found = await inspect_engine(Settings.read(engine=f"vllm:{weights.parent}", candidates=3, vllm_max_num_seqs=16))

    # Then it fails, and what to do is said
    (failed,) = [verdict for verdict in found if verdict.state is State.FAILED]
    assert failed.check == "auction" and "not a number" in failed.said and "fetch them again" in failed.said
