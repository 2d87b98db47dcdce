"""The file of choices: what it may say, and what is said of one that it may not."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from schemas.reward_source import Adapted, Owned, Probed, Prompted
from workers.errors import SettingsError
from workers.rewards.choices import MAX_ADVERTISERS, MAX_BYTES, read_choices
from workers.rewards.linear_probe import read_weights

LORA = {"source": "lora", "adapter": "ovennest"}
MODEL = {"source": "model", "engine": "http://127.0.0.1:8000#own"}
PROBE = {"source": "linear_probe", "weights_file": "w.npz"}


def written(folder: Path, advertisers: Any) -> Path:
    path = folder / "rewards.json"
    path.write_text(json.dumps({"advertisers": advertisers}))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        read_choices(path)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_rewards_file_with_every_kind_of_source_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path, {"a": {"source": "prompt"}, "b": LORA, "c": MODEL, "d": PROBE | {"timeout_s": 2, "tokenizer": "t"}}
    )

    assert read_choices(path) == {
        "a": Prompted(source="prompt"),
        "b": Adapted(source="lora", adapter="ovennest"),
        "c": Owned(source="model", engine="http://127.0.0.1:8000#own"),
        "d": Probed(source="linear_probe", weights_file="w.npz", timeout_s=2.0, tokenizer="t"),
    }


BAD: dict[str, tuple[Any, str]] = {
    "an unknown source": ({"a": {"source": "oracle"}}, "advertisers.a: "),
    "no source": ({"a": {"adapter": "x"}}, "advertisers.a: "),
    "a misspelt field": ({"a": LORA | {"adaptor": "x"}}, "advertisers.a.adaptor: "),
    "a field that is missing": ({"a": {"source": "lora"}}, "advertisers.a.adapter: "),
    "a field of another source": ({"a": LORA | {"engine": "null"}}, "advertisers.a.engine: "),
    "a number for a name": ({"a": {"source": "model", "engine": 5}}, "advertisers.a.engine: "),
    "an engine's name with a blank": ({"a": {"source": "model", "engine": "a b"}}, "advertisers.a.engine: "),
    "a name without end": ({"a": {"source": "lora", "adapter": "x" * 501}}, "advertisers.a.adapter: "),
    "no time": ({"a": MODEL | {"timeout_s": 0}}, "advertisers.a.timeout_s: "),
    "text for a time": ({"a": MODEL | {"timeout_s": "10"}}, "advertisers.a.timeout_s: "),
    "what is no id": ({"Not An Id": LORA}, "advertisers.Not An Id.[key]: "),
    "a list": ([LORA], "advertisers: "),
    "a text for a choice": ({"a": "lora"}, "advertisers.a: "),
}


@pytest.mark.parametrize(("advertisers", "place"), BAD.values(), ids=BAD)
def test_the_message_names_file_advertiser_and_field(tmp_path: Path, advertisers: Any, place: str) -> None:
    path = written(tmp_path, advertisers)

    assert refusal(path).startswith(f"{path}: {place}")


HOSTILE = {
    "nothing": b"",
    "no JSON": b"{",
    "bytes": b"\xff\xfe{}",
    "depth": b'{"advertisers": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a number without end": b'{"advertisers": {"a": {"source": "model", "engine": "x", "timeout_s": '
    + b"9" * 5000
    + b"}}}",
    "NaN": b'{"advertisers": {"a": {"source": "model", "engine": "x", "timeout_s": NaN}}}',
    "an advertiser twice": b'{"advertisers": {"a": {"source": "prompt"}, "a": {"source": "lora", "adapter": "x"}}}',
    "a field twice": b'{"advertisers": {"a": {"source": "lora", "adapter": "x", "adapter": "y"}}}',
    "a list": b"[]",
    "something beside it": b'{"advertisers": {}, "default": {}}',
    "too many": json.dumps(
        {"advertisers": {f"a{i}": {"source": "prompt"} for i in range(MAX_ADVERTISERS + 1)}}
    ).encode(),
    "too much": b" " * MAX_BYTES + b"{}",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_any_file_is_read_or_refused_with_a_message(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rewards.json"
    path.write_bytes(content)

    assert str(path) in refusal(path)


def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": MODEL | {"api_key": "hunter2-hunter2"}})

    assert "hunter2" not in refusal(path)


def test_a_missing_rewards_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert "No such file" in refusal(tmp_path / "missing.json")
    assert "not a regular file" in refusal(tmp_path)
    assert "not a regular file" in refusal(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["a\0b", "\ud800.json", "n" * 256], ids=["NUL", "half a character", "256 bytes"])
def test_an_impossible_file_name_is_refused(tmp_path: Path, name: str) -> None:
    """As the file itself, and as one that it names: JSON can write either."""
    message = refusal(tmp_path / name)

    assert message.startswith("TESSERA_REWARDS_FILE: ")
    message.encode()  # can be printed
    with pytest.raises(SettingsError, match=r"^here\.weights_file: "):
        read_weights(tmp_path / name, "here.weights_file")
