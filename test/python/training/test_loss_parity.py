"""One training step equals the published implementation: loss, labels and gradients of every reference case."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_golden import GOLDEN, load_reference, reference_batch

from qalign.training.losses import next_token_sum
from qalign.training.model.supervised import SupervisedModel


@pytest.mark.parametrize("name", ["tiny_a", "tiny_b"])
def test_labels_loss_and_gradients_of_every_case(name: str) -> None:
    folder = GOLDEN / name
    reference = load_reference(folder)
    gradients = load_file(folder / "training.safetensors")
    for case in json.loads((folder / "training.json").read_text()):
        check_case(folder, reference, case, gradients)


def check_case(folder: Path, reference, case: dict, gradients: dict) -> None:
    model = SupervisedModel(reference.net)
    model.zero_grad(set_to_none=True)
    conversations, batch = reference_batch(folder, reference, case["items"])
    for conversation, item in zip(conversations, case["items"], strict=True):
        assert list(conversation.ids) == item["input_ids"]
        assert list(conversation.labels) == item["labels"]
    assert len(batch.labels) == case["supervised_tokens"]
    loss = next_token_sum(model(batch), batch.labels) / len(batch.labels)
    assert loss.item() == pytest.approx(case["loss"], rel=1e-5)
    loss.backward()
    named = dict(reference.net.named_parameters())
    noise = 1e-7 * case["grad_norm"]  # key biases have no gradient, because softmax cancels them
    for key, norm in case["grad_norms"].items():
        assert named[key].grad.norm().item() == pytest.approx(norm, rel=1e-3, abs=noise), key
    for key, expected in gradients.items():
        if key.startswith(case["name"] + ".grad."):
            found = named[key.removeprefix(case["name"] + ".grad.")].grad
            assert (found - expected).abs().max() <= 1e-3 * expected.abs().max(), key


def test_activation_checkpointing_changes_nothing() -> None:
    folder = GOLDEN / "tiny_a"
    reference = load_reference(folder)
    items = [{"question": "How is it?", "answer": "The quality of the image is good.", "inputs": ["inputs/00.png"]}]
    grads = []
    for recompute in (False, True):
        reference.net.zero_grad(set_to_none=True)
        _, batch = reference_batch(folder, reference, items)
        next_token_sum(SupervisedModel(reference.net, recompute)(batch), batch.labels).backward()
        grads.append([p.grad.clone() for p in reference.net.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))
