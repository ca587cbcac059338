"""The rows that each loss reads, against the same losses with masks."""

from types import SimpleNamespace

import torch

from qalign.training.losses import next_token_sum, soft_label_sum
from qalign.training.objective import objective, rows_of, term_counts

LEVEL_IDS = torch.tensor([3, 5, 7, 11, 13])
WEIGHTS = {"next_token": 1.0, "soft_label": 0.5, "fidelity": 0.0, "in_level": 0.0}


def item(labels: list[int], level_at: int, probs: list[float] | None = None, unrated: bool = False):
    talk = SimpleNamespace(labels=labels, level_at=level_at)
    return SimpleNamespace(conversation=talk, level_probs=probs, unrated=unrated)


ITEMS = [
    item([-100, 4, 5, 2], 2, [0.0, 0.7, 0.3, 0.0, 0.0]),
    item([-100, 4, 2], -1),
    item([-100, 9, 7, 2], 2, unrated=True),
    item([-100, 9, 11, 2], 2),
]
LABELS = torch.tensor([4, 5, 2, 4, 2, 9, 7, 2, 9, 11, 2])
SLOTS = torch.tensor([1, -1, 6, 9])


def test_the_next_token_loss_skips_soft_and_unrated_level_words() -> None:
    batch = SimpleNamespace(labels=LABELS, level_slots=SLOTS)
    logits = torch.randn(11, 20, generator=torch.Generator().manual_seed(0), requires_grad=True)
    counts = term_counts(ITEMS, WEIGHTS)
    assert counts[:2] == [9.0, 1.0]
    loss, terms = objective(logits, batch, ITEMS, LEVEL_IDS, WEIGHTS, counts)
    plain = torch.ones(11, dtype=torch.bool)
    plain[[1, 6]] = False
    target = torch.tensor([ITEMS[0].level_probs])
    wanted = [next_token_sum(logits[plain], LABELS[plain]) / 9, soft_label_sum(logits[1:2], LEVEL_IDS, target)]
    assert [term.item() for term in terms[:2]] == [term.item() for term in wanted]
    ours = torch.autograd.grad(loss, logits)[0]
    theirs = torch.autograd.grad(wanted[0] + 0.5 * wanted[1], logits)[0]
    assert torch.equal(ours, theirs)


def test_all_rows_need_no_gather() -> None:
    x = torch.randn(3, 2)
    assert rows_of(x, [0, 1, 2]) is x
    assert torch.equal(rows_of(x, [2, 0]), x[[2, 0]])
    assert rows_of(x, []).shape == (0, 2)
