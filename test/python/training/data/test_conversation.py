"""Training conversations → ids and supervised positions with the real LLaMA tokenizer."""

import json

import pytest
from training_golden import GOLDEN, SHARED

from qalign.mplug_owl2.tokenizer import Tokenizer
from qalign.training.data.conversation import IGNORED, build_conversation
from qalign.training.errors import TrainingError


def test_ids_and_masks_of_every_published_conversation() -> None:
    if not (SHARED / "llama_tokenizer").is_dir():
        pytest.skip(f"NOT RUN: needs {SHARED}/llama_tokenizer; the tiny twin is test_loss_parity.py")
    tokenizer = Tokenizer(SHARED / "llama_tokenizer")
    cases = json.loads((SHARED / "prompts.json").read_text())["training"]
    assert cases
    for case in cases:
        talk = build_conversation(tokenizer, case["question"], case["answer"])
        assert list(talk.ids) == case["input_ids"], case["text"]
        assert [k for k, label in enumerate(talk.labels) if label != IGNORED] == case["supervised"], case["text"]


def test_the_level_word_is_found_and_a_missing_one_is_refused() -> None:
    tokenizer = Tokenizer(GOLDEN / "tiny_a" / "model")
    talk = build_conversation(tokenizer, "How is it?", "The quality of the image is poor.", "poor")
    assert talk.ids[talk.level_at] == tokenizer.word_id("poor")
    with pytest.raises(TrainingError, match="poor"):
        build_conversation(tokenizer, "How is it?", "The quality of the image is 3.45.", "poor")
