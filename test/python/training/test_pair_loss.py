"""DeQA-Score's pair objective equals the published implementation (deqa/pair_loss.json)."""

import json

import pytest
import torch
from training_golden import GOLDEN, load_reference, reference_batch

from qalign.training.losses import (
    binary_fidelity,
    fidelity,
    in_level_sum,
    level_view,
    next_token_sum,
    predicted_preference,
    soft_label_sum,
    true_preference,
)
from qalign.training.model.supervised import SupervisedModel

LEVELS = ("excellent", "good", "fair", "poor", "bad")


def test_every_case_of_the_published_pair_objective() -> None:
    folder = GOLDEN / "tiny_a"
    reference = load_reference(folder)
    words = torch.tensor([reference.tokenizer.word_id(level) for level in LEVELS])
    for case in json.loads((GOLDEN / "deqa" / "pair_loss.json").read_text())["cases"]:
        reference.net.zero_grad(set_to_none=True)
        model = SupervisedModel(reference.net)
        settings, views, tokens, inside = case["settings"], [], 0.0, 0.0
        for side in ("A", "B"):
            items = [
                {**row, "inputs": [row["input"]], "level": row["answer"].rstrip(".").split()[-1]} for row in case[side]
            ]
            _, batch = reference_batch(folder, reference, items)
            logits = model(batch)
            plain = torch.ones(len(batch.labels), dtype=torch.bool)
            plain[batch.level_slots] = False
            target = torch.tensor([row["level_probs"] for row in case[side]])
            kl = soft_label_sum(logits[batch.level_slots], words, target) / len(target)
            assert kl.item() == pytest.approx(case["kl"]["AB".index(side)], rel=1e-5)
            tokens = tokens + next_token_sum(logits[plain], batch.labels[plain]) / plain.sum()
            tokens = tokens + settings["weight_softkl"] * kl
            views.append(level_view(logits[batch.level_slots], words))
            inside = inside + in_level_sum(views[-1].mass) / len(target)
            assert views[-1].score.tolist() == pytest.approx(case["pred_scores"]["AB".index(side)], rel=1e-5)
        loss = settings["weight_next_token"] * tokens + settings["weight_rank"] * rank(case, views, settings)
        if settings["weight_in_level"]:
            loss = loss + settings["weight_in_level"] * inside
        assert loss.item() == pytest.approx(case["loss"], rel=1e-5), case["name"]
        loss.backward()
        named = dict(reference.net.named_parameters())
        noise = 1e-7 * case["grad_norm"]  # key biases have no gradient, because softmax cancels them
        for key, norm in case["grad_norms"].items():
            assert named[key].grad.norm().item() == pytest.approx(norm, rel=1e-3, abs=noise), key


def rank(case: dict, views: list, settings: dict) -> torch.Tensor:
    joined = type(views[0])(*(torch.cat([getattr(v, f) for v in views]) for f in ("probs", "score", "std", "mass")))
    rows = case["A"] + case["B"]
    mos, std = (torch.tensor([row[key] for row in rows]) for key in ("gt_score", "std"))
    count = len(case["A"])
    first, second = torch.arange(count), torch.arange(count, 2 * count)
    truth = true_preference(mos, std, first, second, settings["continuous"])
    measure = fidelity if settings["continuous"] else binary_fidelity
    return measure(predicted_preference(joined, first, second, settings["use_fix_std"]), truth).mean()
