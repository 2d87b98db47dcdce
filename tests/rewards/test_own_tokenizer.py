"""An advertiser's server with a chat template of its own: its model is asked in its own frame."""

import json
import shutil
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.rewards.models import Fake
from tests.support.builders import make_bidder
from tests.support.vllm_stand_in import FRAMING, TOKENIZER, StandIn, standing_in
from workers.engines.base import Reply
from workers.engines.options import EngineOptions, HttpOptions
from workers.engines.tokenizer import TEMPLATE, ChatTokenizer
from workers.errors import SettingsError
from workers.rewards.base import Candidates
from workers.rewards.open import OpenEngines, open_sources

ID = "advertiser-00"
CANDIDATES = Candidates("How do I plant beans?", (Reply((8, 9), "", 0.0, False),), np.zeros(1))


def folder_of(parent: Path, template: str) -> Path:
    """The reference's tokenizer with another chat template."""
    folder = parent / "theirs"
    shutil.copytree(TOKENIZER, folder)
    (folder / TEMPLATE).write_text(template)
    return folder


async def asked(folder: Path, choice: dict[str, Any], server: StandIn) -> list[int]:
    """The ids that the advertiser's model is asked to score."""
    file = folder / "rewards.json"
    async with standing_in(server) as url, AsyncExitStack() as stack:
        file.write_text(json.dumps({"advertisers": {ID: choice | {"source": "model", "engine": f"{url}#base"}}}))
        reference = Fake("reference")
        reference.identity = replace(reference.identity, tokenizer_sha256=FRAMING.sha256)
        options = EngineOptions(http=HttpOptions(tokenizer=str(TOKENIZER)))
        sources = await open_sources(file, OpenEngines(reference, {}, options), stack)
        assert not sources.unreached
        await sources.rewards.rewards(CANDIDATES, make_bidder(0))
        return list(server.requests[-1].body["prompt"])


async def test_an_advertisers_model_is_prompted_in_its_own_chat_template(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "<s>Q: {{ messages[0].content }} A:")
    server = StandIn()
    ours = server.framing.encode(CANDIDATES.question)
    assert (await asked(tmp_path, {}, server))[: len(ours)] == list(ours)

    theirs = StandIn()
    theirs.framing = ChatTokenizer(folder)
    turn = theirs.framing.encode(CANDIDATES.question)
    assert turn != ours
    assert (await asked(tmp_path, {"tokenizer": "theirs"}, theirs))[: len(turn)] == list(turn)


async def test_an_advertisers_model_must_have_the_references_tokenizer_to_the_byte(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "<s>Q: {{ messages[0].content }} A:")
    (folder / "tokenizer.json").write_bytes((TOKENIZER / "tokenizer.json").read_bytes() + b"\n")
    theirs = StandIn()
    theirs.framing = ChatTokenizer(folder)

    with pytest.raises(SettingsError, match=f"advertisers.{ID}.tokenizer: .*has the tokenizer"):
        await asked(tmp_path, {"tokenizer": "theirs"}, theirs)
    assert not theirs.requests  # the folder is here: nobody has to be asked
