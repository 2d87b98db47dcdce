"""The tokenizer: byte-level BPE with five special tokens, and the chat template."""

from __future__ import annotations

import random
from importlib import import_module
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from .corpus import nameless_text

#: Their places are their ids.
SPECIAL = ["<pad>", "<s>", "</s>", "<user>", "<assistant>"]
PAD_ID, BEGIN_ID, END_ID, USER_ID, ASSISTANT_ID = range(5)
CHAT_TEMPLATE = (
    "<s>{% for m in messages %}{% if m.role == 'user' %}<user>{{ m.content }}"
    "{% elif m.role == 'assistant' %}<assistant>{{ m.content }}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
MAX_POSITIONS = 512
TEXTS = 30_000


def train_tokenizer(vocab_size: int) -> Tokenizer:
    """Byte-level BPE learnt from text without brand names.

    Names therefore fall into single letters and short pieces that occur
    everywhere, which is what lets copying carry over to names never seen.
    """
    rng = random.Random(0)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator((nameless_text(rng) for _ in range(TEXTS)), trainer)
    return tokenizer


def wrap_tokenizer(tokenizer: Tokenizer) -> Any:
    """The ``PreTrainedTokenizerFast`` with special tokens and chat template, ready to save."""
    transformers: Any = import_module("transformers")
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=MAX_POSITIONS,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped
