"""Packed sequences have the same logits as the padding literal model, with any other items in the batch."""

import pytest
import torch
from training_golden import GOLDEN, load_reference

from qalign.mplug_owl2.model import IMAGE_TOKEN, expand_ids
from qalign.mplug_owl2.vision import split_fused_qkv
from qalign.training.data.batch import make_batch
from qalign.training.data.conversation import IGNORED, Conversation
from qalign.training.data.packing import _Split, pack, permuted
from qalign.training.model.supervised import SupervisedModel


def conversation(*ids: int) -> Conversation:
    return Conversation(ids, (IGNORED,) * (len(ids) - 2) + ids[-2:], len(ids) - 2)


CONVERSATIONS = [
    conversation(1, 7, IMAGE_TOKEN, 9, 11, 2),
    conversation(1, IMAGE_TOKEN, 5, 2),
    conversation(1, 30, 31, 32, IMAGE_TOKEN, 9, 8, 2),
]
FRAMES = [1, 3, 2]


@pytest.mark.parametrize("name", ["tiny_a", "tiny_b"])
def test_logits_equal_those_of_the_literal_model(name: str) -> None:
    reference = load_reference(GOLDEN / name)
    net, per_frame = reference.net, reference.net.config.tokens_per_frame
    pixels = torch.randn(sum(FRAMES), 3, reference.size, reference.size, generator=torch.Generator().manual_seed(0))
    packed = SupervisedModel(net)(make_batch(CONVERSATIONS, FRAMES, per_frame, torch.device("cpu"), pixels))
    padded = net([t.ids for t in CONVERSATIONS], [[f] for f in FRAMES], pixels)
    expected = []
    for row, (one, frames) in enumerate(zip(CONVERSATIONS, FRAMES, strict=True)):
        length = len(expand_ids(one.ids, [frames], per_frame))
        expected += [padded[row, length - 3], padded[row, length - 2]]
    assert torch.allclose(packed, torch.stack(expected), atol=2e-5)


def test_nothing_is_padded() -> None:
    packing = pack([t.ids for t in CONVERSATIONS], FRAMES, 9, torch.device("cpu"))
    lengths = [len(expand_ids(t.ids, [f], 9)) for t, f in zip(CONVERSATIONS, FRAMES, strict=True)]
    assert len(packing.order) == sum(lengths) == len(packing.text_ids) + 9 * sum(FRAMES)
    assert sorted(length for _, length in packing.groups) == sorted(lengths)
    assert packing.order.sort().values.tolist() == list(range(sum(lengths)))


def test_gradients_of_gathers_equal_those_of_indices_to_the_bit() -> None:
    torch.manual_seed(0)
    x = torch.randn(9, 6, requires_grad=True)
    order, seed = torch.randperm(9), torch.randn(9, 6)
    assert torch.equal(permuted(x, order, order.argsort()), x[order])
    ours = torch.autograd.grad(permuted(x, order, order.argsort()), x, seed)[0]
    assert torch.equal(ours, torch.autograd.grad(x[order], x, seed)[0])
    fused = torch.randn(2, 5, 3 * 4 * 2, requires_grad=True)
    plain, split = split_fused_qkv(fused, 4), _Split.apply(fused, 4)
    seeds = [torch.randn_like(part) for part in plain]
    assert all(torch.equal(one, other) for one, other in zip(plain, split, strict=True))
    ours, theirs = (torch.autograd.grad(parts, fused, seeds)[0] for parts in (split, plain))
    assert torch.equal(ours, theirs)
