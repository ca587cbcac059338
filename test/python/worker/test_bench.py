import json

import pytest

from qalign.worker import bench


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(bench, "SECONDS", 0.05)


def test_random_weights_are_reported_and_both_models_agree(capsys):
    assert bench.main(["--random-weights", "tiny", "--device", "cpu", "--batches", "1,3", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["weights"] == "random tiny"
    assert [(row["batch"], row["path"]) for row in report["results"]] == [
        (1, "engine"),
        (1, "literal"),
        (3, "engine"),
        (3, "literal"),
    ]
    assert all(row["images_per_s"] > 0 and row["peak_memory_bytes"] > 0 for row in report["results"])
    assert all(row["largest_logit_difference"] < 1e-4 for row in report["results"][::2])


def test_the_table_names_what_was_measured(capsys):
    assert bench.main(["--random-weights", "tiny", "--device", "cpu", "--batches", "2", "--no-literal"]) == 0
    shown = capsys.readouterr().out
    assert "random tiny" in shown
    assert "literal" not in shown


def test_a_missing_model_exits_with_two(capsys):
    assert bench.main(["--model", "/nowhere/at/all", "--device", "cpu"]) == 2
    assert "/nowhere/at/all" in capsys.readouterr().err
