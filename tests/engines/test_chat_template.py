"""Chat templates of many families are rendered as Transformers does, and what would not replay is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engines.bundled import need_vllm
from tests.engines.templates import FAMILIES, TOKENS
from workers.engines.chat_template import render_turn

TURNS = ("T", "two words", "<b> & 'q' \"é\" 🌱")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_chat_template_frames_each_message_as_worked_out_by_hand(family: str) -> None:
    template, frame = FAMILIES[family]

    assert render_turn(template, TOKENS, "T") == frame


@pytest.mark.vllm
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_renders_the_same(family: str, turn: str) -> None:
    need_vllm()
    from transformers.utils.chat_template_utils import render_jinja_template

    template, _ = FAMILIES[family]
    messages = [{"role": "user", "content": turn}]
    (theirs,), _ = render_jinja_template([messages], chat_template=template, add_generation_prompt=True, **TOKENS)

    assert render_turn(template, TOKENS, turn) == theirs


@pytest.mark.vllm
@pytest.mark.parametrize(
    "tokens",
    [
        TOKENS,
        {"bos_token": None, "eos_token": {"content": "</s>", "__type": "AddedToken"}, "cls_token": "<s>"},
    ],
)
def test_transformers_gives_a_template_the_same_tokens(tmp_path: Path, tokens: dict[str, Any]) -> None:
    """From the same folder."""
    need_vllm()
    from transformers import AutoTokenizer

    from workers.engines.embedded.engine import MODEL
    from workers.engines.tokenizer import MARK, ChatTokenizer

    names = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
    shown = "".join(f"{name}{{{{ {name} is defined }}}}{{{{ {name} }}}}" for name in names)
    (tmp_path / "tokenizer.json").write_bytes((MODEL / "hf" / "tokenizer.json").read_bytes())
    template = [{"name": "default", "template": shown + "{{ messages[0].content }}"}]
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template, **tokens}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))

    messages = [{"role": "user", "content": MARK}]
    theirs = AutoTokenizer.from_pretrained(tmp_path).apply_chat_template(messages, tokenize=False)

    assert theirs.partition(MARK)[0] in ChatTokenizer(tmp_path).frame
