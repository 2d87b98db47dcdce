"""A Llama of 27 million random weights on the bundled tokenizer: the model, not the front end, is what costs.

Its replies practically never end by themselves, so that the work of a call is known: every reply has `max_tokens`.
"""

import shutil
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.engines.bundled import FOLDER

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")


def write_larger_model(folder: Path) -> Path:
    config = LlamaConfig(
        vocab_size=2_048,
        hidden_size=512,
        intermediate_size=1_408,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copy(FOLDER / name, folder / name)
    return folder
