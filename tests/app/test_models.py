"""Which engines a process opens for its stages, what must fit together, and that all are closed whatever happens."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.rewards.models import Fake, Shelf, on_shelf
from workers.app.models import open_models
from workers.app.session import Onlooker, monitor_of, stages_running
from workers.engines import catalogue
from workers.engines.options import EngineOptions
from workers.errors import SettingsError
from workers.settings import DEMO_DRAW_KEY, Settings

OWN = {"advertisers": {"ovennest": {"source": "model", "engine": "own"}}}


def settings(folder: Path, **changes: Any) -> Settings:
    """A reference engine, a larger one for the proposal, and an advertiser's own."""
    file = folder / "rewards.json"
    file.write_text(json.dumps(OWN))
    given = {"engine": "reference", "proposal_engine": "larger", "rewards_file": str(file), "draw_key": DEMO_DRAW_KEY}
    return Settings.read(**{**given, **changes})


def engines(**larger: Any) -> list[Fake]:
    return [Fake("reference"), Fake("larger", **larger), Fake("own")]


def closed(shelf: Shelf) -> dict[str, int]:
    return {name: engine.closed for name, engine in shelf.engines.items()}


@pytest.mark.parametrize(
    ("stages", "opened"),
    [
        (["generation"], ["reference", "larger"]),
        (["scoring"], ["reference", "own"]),
        (["generation", "scoring"], ["reference", "larger", "own"]),
        (["settlement", "incentives"], []),
    ],
    ids="+".join,
)
async def test_a_process_opens_only_the_engines_its_stages_use(
    tmp_path: Path, stages: list[str], opened: list[str]
) -> None:
    given = settings(tmp_path)
    with on_shelf(*engines()) as shelf:
        async with stages_running(stages, given, monitor_of(stages, given), kafka=False):
            assert shelf.opened == opened

        assert closed(shelf) == {name: int(name in opened) for name in shelf.engines}


@pytest.mark.parametrize("name", ["", "reference"])
async def test_without_a_proposal_engine_candidates_are_drawn_from_the_reference_engine(
    tmp_path: Path, name: str
) -> None:
    with on_shelf(*engines()) as shelf:
        async with open_models(settings(tmp_path, proposal_engine=name), proposal=True, rewards=False) as models:
            assert models.context_aware is None
            assert shelf.opened == ["reference"]


async def test_the_proposals_engine_is_opened_once_for_an_advertiser_too(tmp_path: Path) -> None:
    with on_shelf(*engines()) as shelf:
        async with open_models(settings(tmp_path, proposal_engine="own"), proposal=True, rewards=True):
            assert shelf.opened == ["reference", "own"]

        assert closed(shelf) == {"reference": 1, "larger": 0, "own": 1}


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "another tokenizer": ({"tokenizer": "other"}, "larger has the tokenizer .*, the reference engine reference has"),
    # It might draw what the reference engine cannot score.
    "more token ids": ({"vocabulary": 261}, "larger knows 261 token ids, the reference engine reference only 260"),
}


@pytest.mark.parametrize(("larger", "says"), MISFITS.values(), ids=MISFITS)
async def test_a_proposal_of_other_tokens_is_refused(tmp_path: Path, larger: dict[str, Any], says: str) -> None:
    with on_shelf(*engines(**larger)) as shelf:
        with pytest.raises(SettingsError, match=f"^TESSERA_PROPOSAL_ENGINE: {says}"):
            async with open_models(settings(tmp_path), proposal=True, rewards=True):
                pass

        assert closed(shelf) == {"reference": 1, "larger": 1, "own": 0}


async def test_a_proposal_engine_nobody_draws_from_is_refused(tmp_path: Path) -> None:
    with on_shelf(*engines()), pytest.raises(SettingsError, match=r"TESSERA_PROPOSAL=reference.*unset one of the two"):
        async with open_models(settings(tmp_path, proposal="reference"), proposal=True, rewards=False):
            pass


async def test_an_unknown_proposal_engine_is_named_by_its_variable(tmp_path: Path) -> None:
    with on_shelf(*engines()), pytest.raises(SettingsError, match=r"^TESSERA_PROPOSAL_ENGINE: no engine .* 'nothing'"):
        async with open_models(settings(tmp_path, proposal_engine="nothing"), proposal=True, rewards=False):
            pass


async def test_an_error_at_work_closes_every_engine(tmp_path: Path) -> None:
    with on_shelf(*engines()) as shelf:
        with pytest.raises(ZeroDivisionError):
            async with open_models(settings(tmp_path), proposal=True, rewards=True):
                raise ZeroDivisionError

        assert closed(shelf) == {"reference": 1, "larger": 1, "own": 1}


class Sticky(Fake):
    """Cannot be closed."""

    async def close(self) -> None:
        await super().close()
        raise OSError("stuck")


async def test_an_engine_that_fails_to_close_leaves_no_other_open(tmp_path: Path) -> None:
    with on_shelf(Fake("reference"), Sticky("larger"), Sticky("own")) as shelf:
        with pytest.raises(OSError, match="stuck"):
            async with open_models(settings(tmp_path), proposal=True, rewards=True):
                pass

        assert closed(shelf) == {"reference": 1, "larger": 1, "own": 1}


async def test_an_advertisers_silent_server_lets_the_stages_start(tmp_path: Path) -> None:
    given, told = settings(tmp_path), list[str]()
    monitor, onlooker = monitor_of(["scoring"], given), Onlooker(told.append)
    with on_shelf(*engines()) as shelf:
        shelf.down.add("own")
        async with stages_running(["scoring"], given, monitor, kafka=False, onlooker=onlooker):
            assert any("advertisers.ovennest.engine: own does not answer" in sentence for sentence in told)


KEYS: dict[str, tuple[str, str]] = {  # the proposal's address, and the key that goes there
    "the same server": ("http://reference:8000#larger", "s3cret"),
    "the same in other words": ("http://REFERENCE:8000/v1#larger", "s3cret"),
    "another host": ("http://elsewhere:8000#larger", ""),
    "another port": ("http://reference:8001#larger", ""),
    "another scheme": ("https://reference:8000#larger", ""),
    "in this process": ("larger", ""),
}


@pytest.mark.parametrize(("proposal", "key"), KEYS.values(), ids=KEYS)
async def test_the_reference_servers_key_goes_to_no_other_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proposal: str, key: str
) -> None:
    given = settings(tmp_path, engine="http://reference:8000#m", proposal_engine=proposal, engine_api_key="s3cret")
    keys: list[str] = []

    async def opened(_: str, options: EngineOptions) -> Fake:
        keys.append(options.http.api_key)
        return Fake("one")

    monkeypatch.setitem(catalogue.KINDS, "http", opened)
    monkeypatch.setitem(catalogue.KINDS, "https", opened)
    monkeypatch.setitem(catalogue.ENGINES, "larger", opened)
    async with open_models(given, proposal=True, rewards=False):
        assert keys == ["s3cret", key]
