"""The pure functions of training: sampler, schedule, loss terms, augmentation."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_golden import ROOT

from qalign.mplug_owl2.random_weights import architecture
from qalign.training.data.order import unit_weights
from qalign.training.data.prepared_split import Item, augment
from qalign.training.data.sampler import BalancedSampler
from qalign.training.losses import binary_fidelity, fidelity, level_view, preference
from qalign.training.model.flops import abstractor_flops, language_flops, vision_flops
from qalign.training.optimizer.optimizer import learning_rate_factor


@given(st.integers(8, 200), st.integers(1, 4), st.integers(0, 99))
def test_an_epoch_uses_no_item_twice(count: int, parts: int, seed: int) -> None:
    lengths = [10 + k % 7 for k in range(count)]
    sampler = BalancedSampler([[k] for k in range(count)], lengths, 8, parts, seed)
    dealt = [i for s in range(sampler.steps_per_epoch) for m in range(parts) for i in sampler.micro_batch(s, m)]
    assert len(dealt) == len(set(dealt))
    assert len(dealt) > count - parts
    again = BalancedSampler([[k] for k in range(count)], lengths, 8, parts, seed)
    assert again.micro_batch(3 * sampler.steps_per_epoch, 0) == sampler.micro_batch(3 * sampler.steps_per_epoch, 0)


def test_each_series_is_in_one_micro_batch_and_work_is_balanced() -> None:
    units = [[k] for k in range(40)] + [[40 + 4 * k + j for j in range(4)] for k in range(10)]
    sampler = BalancedSampler(units, [10] * 80, 16, 2, 0)
    for step in range(sampler.steps_per_epoch):
        parts = [sampler.micro_batch(step, m) for m in range(2)]
        assert abs(len(parts[0]) - len(parts[1])) <= 4
        for part in parts:
            for unit in units:
                assert not set(unit) & set(part) or set(unit) <= set(part)


@pytest.mark.parametrize("kind", ["cosine", "one_cycle", "constant"])
def test_schedules_rise_to_one_and_stay_between_zero_and_one(kind: str) -> None:
    factors = [learning_rate_factor(kind, step, 100, 10) for step in range(100)]
    assert all(0 <= f <= 1 for f in factors)
    assert max(factors) == pytest.approx(1, abs=0.05)
    assert factors[:10] == sorted(factors[:10])
    assert factors[-1] < 0.01 or kind == "constant"


def test_fidelity_is_zero_for_agreement_and_grows_with_disagreement() -> None:
    p = torch.tensor([0.1, 0.5, 0.9])
    assert fidelity(p, p).abs().max() < 1e-6
    assert fidelity(torch.tensor([0.2]), torch.tensor([0.9])) > fidelity(torch.tensor([0.6]), torch.tensor([0.9]))
    assert binary_fidelity(torch.tensor([0.9]), torch.tensor([1.0])).item() == pytest.approx(1 - 0.9**0.5, abs=1e-6)
    assert preference(torch.tensor(0.0)).item() == 0.5


def test_level_view_of_certain_words() -> None:
    logits = torch.full((2, 9), -20.0)
    logits[0, 3], logits[1, 7] = 20.0, 20.0
    view = level_view(logits, torch.tensor([3, 4, 5, 6, 7]))
    assert view.score.tolist() == pytest.approx([5, 1])
    assert view.mass.tolist() == pytest.approx([1, 1])


def test_crops_keep_pixels_and_flips_mirror_all_frames() -> None:
    frames = np.arange(2 * 6 * 6 * 3, dtype=np.uint8).reshape(2, 6, 6, 3)
    assert torch.equal(augment(frames, 6, False, None), torch.from_numpy(frames))
    assert torch.equal(augment(frames, 4, True, None), torch.from_numpy(frames[:, 1:5, 1:5].copy()))
    for seed in range(20):
        cut = augment(frames, 4, True, np.random.default_rng(seed)).numpy()
        windows = [frames[:, t : t + 4, l : l + 4] for t in range(3) for l in range(3)]
        assert any(np.array_equal(cut, w) or np.array_equal(cut, w[:, :, ::-1]) for w in windows)


def test_an_epoch_uses_a_dataset_as_often_as_its_weight() -> None:
    weights = [2.0] * 10 + [0.5] * 20 + [1.0] * 10
    sampler = BalancedSampler([[k] for k in range(40)], [5] * 40, 4, 1, 3, weights)
    assert sampler.steps_per_epoch == 10
    seen = []
    for epoch in range(2):
        dealt = [i for step in range(10) for i in sampler.micro_batch(epoch * 10 + step, 0)]
        assert sorted(i for i in dealt if i < 10) == sorted([*range(10), *range(10)])
        assert sorted(i for i in dealt if i >= 30) == list(range(30, 40))
        seen.append({i for i in dealt if 10 <= i < 30})
    assert [len(some) for some in seen] == [10, 10]
    assert seen[0] != seen[1]


def test_an_epoch_uses_no_series_of_families_that_are_left_out_and_then_no_mixture() -> None:
    def item(dataset: str, series: str | None) -> Item:
        return Item("x", None, 0, 1, dataset, 1.0, 0.0, None, series, 0, ())

    rows = [
        item("own", None),
        item("own", "mine#warp"),  # a series of the user, whatever its name
        item("distortions", "a #1.jpg#warp"),
        item("distortions", "a #1.jpg#jpeg"),
        item("distortions", "b#mixture"),
    ]
    units = [[index] for index in range(len(rows))]
    rates = {"own": 2.0, "distortions": 0.5}
    assert unit_weights(rows, units, {"weights": rates}) == [2, 2, 0.5, 0.5, 0.5]
    assert unit_weights(rows, units, {"weights": rates, "leave_out": []}) == [2, 2, 0.5, 0.5, 0.5]
    assert unit_weights(rows, units, {"weights": rates, "leave_out": ["warp"]}) == [2, 2, 0, 0.5, 0]
    sampler = BalancedSampler(units, [5] * 5, 1, 1, 0, [1, 1, 0, 1, 0])
    assert {i for step in range(3) for i in sampler.micro_batch(step, 0)} == {0, 1, 3}


def test_flops_of_the_published_model() -> None:
    """docs/mplug-owl2.md#cost: 761.5 G per picture for vision and abstractor, 1220 G for 92 positions that reach the
    head."""
    config = architecture("mplug_owl2_7b")
    assert (vision_flops(config) + abstractor_flops(config)) / 1e9 == pytest.approx(761.5, rel=0.005)
    assert language_flops(config, 92, 92) / 1e9 == pytest.approx(1220, rel=0.005)


def test_the_measurement_runs_without_a_gpu() -> None:
    code = "import sys; from qalign.training.measure import main; sys.exit(main(sys.argv[1:]))"
    line = ["--architecture", "tiny", "--device", "cpu", "--batch", "4", "--micro-batch", "2", "--steps", "2"]
    done = subprocess.run([sys.executable, "-c", code, *line], cwd=ROOT / "python", capture_output=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["images_per_s"] > 0
    assert result["mfu"] is None, "the peak of a CPU is unknown"
    assert len(result["seconds_per_step"]) == 2
