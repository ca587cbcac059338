"""The check of `recipe.json` before training: refused values, and keys that a resumed run can change."""

import json
from pathlib import Path

import pytest
from test_run import events, make_run, train
from training_golden import ROOT

from qalign.protocol import ERROR_CODES
from qalign.training.errors import TrainingError
from qalign.training.recipe import fingerprint, parse_recipe

EXAMPLES = ROOT / "bridge" / "examples"


def example(name: str) -> dict:
    return json.loads((EXAMPLES / "accepted" / f"{name}.json").read_text())["value"]


def refusal(recipe: dict) -> str:
    with pytest.raises(TrainingError) as caught:
        parse_recipe(json.dumps(recipe))
    assert caught.value.code == "CONFIG_INVALID" in ERROR_CODES
    return str(caught.value)


@pytest.mark.parametrize("name", ["run_recipe", "run_recipe_of_an_older_run"])
def test_a_recipe_keeps_all_its_keys(name: str) -> None:
    assert parse_recipe(json.dumps(example(name))) == example(name)


def test_wrong_values_are_named() -> None:
    recipe = example("run_recipe")
    assert "batch_size must be integer" in refusal(recipe | {"batch_size": "128"})
    assert "objective must not contain {'ranking'}" in refusal(
        recipe | {"objective": recipe["objective"] | {"ranking": 1}}
    )
    missing = refusal({key: value for key, value in recipe.items() if key != "data_path"})
    assert "it must contain ['data_path']" in missing
    assert "data must contain ['weights']" in refusal(recipe | {"data": {}})
    with pytest.raises(TrainingError, match="not JSON"):
        parse_recipe('{"seed": 1')


def test_a_resumed_run_can_change_only_where_it_runs() -> None:
    recipe = example("run_recipe")
    held = fingerprint(recipe, "sha", 2)
    assert fingerprint(recipe | {"save_every": 7, "trackers": [], "processes": 2, "micro_batch": 32}, "sha", 2) == held
    for other in ({"seed": 9}, {"prompts": ["benchmark"]}):  # Python does not read the latter
        assert fingerprint(recipe | other, "sha", 2)["recipe"] != held["recipe"]


def test_an_invalid_recipe_ends_the_run_with_an_event(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tmp_path / "no-data", seed=None)
    assert train(run).returncode != 0
    (end,) = events(run, "end")
    assert (end["status"], end["code"]) == ("failed", "CONFIG_INVALID")
    assert "seed must be integer" in end["message"]
