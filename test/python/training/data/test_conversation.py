"""Training conversations → ids and supervised positions with the real LLaMA tokenizer."""

import json

import pytest
import torch
from training_golden import GOLDEN, SHARED

from qalign.mplug_owl2.tokenizer import Tokenizer
from qalign.training.data.conversation import IGNORED, build_conversation, level_ids, training_prompt
from qalign.training.errors import TrainingError


def test_ids_and_masks_of_every_published_conversation() -> None:
    if not (SHARED / "llama_tokenizer").is_dir():
        pytest.skip(f"NOT RUN: needs {SHARED}/llama_tokenizer; the tiny twin is test_loss_parity.py")
    tokenizer = Tokenizer(SHARED / "llama_tokenizer")
    cases = json.loads((SHARED / "prompts.json").read_text())["training"]
    assert cases
    for case in cases:
        conversation = build_conversation(tokenizer, training_prompt(case["question"]), case["answer"])
        assert list(conversation.ids) == case["input_ids"], case["text"]
        assert [k for k, label in enumerate(conversation.labels) if label != IGNORED] == case["supervised"], case[
            "text"
        ]


def test_the_text_of_every_published_conversation() -> None:
    cases = json.loads((GOLDEN / "prompts.json").read_text())["training"]
    assert len(cases) > 20
    for case in cases:
        assert f"{training_prompt(case['question'])} {case['answer']}</s>" == case["text"]


def test_the_level_word_is_found_and_a_missing_one_is_refused() -> None:
    tokenizer = Tokenizer(GOLDEN / "tiny_a" / "model")
    conversation = build_conversation(
        tokenizer, training_prompt("How is it?"), "The quality of the image is poor.", "poor"
    )
    assert conversation.ids[conversation.level_at] == tokenizer.word_id("poor")
    with pytest.raises(TrainingError, match="poor"):
        build_conversation(tokenizer, training_prompt("How is it?"), "The quality of the image is 3.45.", "poor")


def test_level_ids_are_the_words_of_the_contract_best_first() -> None:
    tokenizer = Tokenizer(GOLDEN / "tiny_a" / "model")
    words = ("excellent", "good", "fair", "poor", "bad")
    assert level_ids(tokenizer, torch.device("cpu")).tolist() == [tokenizer.word_id(word) for word in words]
