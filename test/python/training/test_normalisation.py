"""A run normalises with the model's preprocessor_config.json, as scoring does, and exports the file."""

import json
from pathlib import Path

import pytest
from test_run import curve, make_run, prepare_data, score_of, train

from qalign.mplug_owl2.config import load_config


def first_loss(folder: Path, model: Path, data: Path) -> float:
    run = make_run(folder, data, model_path=str(model), max_steps=1, dropout=0.0)
    done = train(run)
    assert done.returncode == 0, done.stderr[-3000:]
    return curve(run)[1]


def test_other_values_change_the_loss_and_a_missing_file_means_clip_s(checkpoint, tmp_path: Path) -> None:
    data, model = prepare_data(tmp_path / "data"), checkpoint("tiny_a")
    file = model / "preprocessor_config.json"
    values = json.loads(file.read_text())
    file.unlink()
    published = first_loss(tmp_path / "published", model, data)
    file.write_text(json.dumps(values))
    assert first_loss(tmp_path / "clip", model, data) == published
    file.write_text(json.dumps(values | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}))
    assert abs(first_loss(tmp_path / "halves", model, data) - published) > 1e-4
    trained = tmp_path / "halves" / "model"
    assert load_config(trained).normalisation.mean == (0.5, 0.5, 0.5)
    scores = score_of(trained)
    (trained / "preprocessor_config.json").unlink()
    assert score_of(trained) != pytest.approx(scores, abs=1e-4)
