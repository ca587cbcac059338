"""Reads and checks `recipe.json` of a run directory, and compares the recipes of resumed runs."""

import hashlib
import json
from typing import Any

from qalign.protocol import RunRecipe
from qalign.schemas import problem_with

from .errors import TrainingError

# keys that can change between a checkpoint and the run that resumes from it
FREE = {
    *("keep_checkpoints", "keep_best", "save_every", "trackers", "processes", "micro_batch", "hosts", "rendezvous"),
    *("gpu_gb", "keep_unsharded"),
}


def parse_recipe(text: str) -> RunRecipe:
    """The recipe with all its keys, including those that Python does not read. Raises TrainingError CONFIG_INVALID."""
    try:
        recipe = json.loads(text)
    except ValueError as error:
        raise TrainingError("CONFIG_INVALID", f"recipe.json is not JSON: {error}.") from error
    problem = problem_with("run_recipe", recipe)
    if problem is not None:
        # the validator calls the whole document "data", which is also the name of a key
        said = problem.removeprefix("data.") if problem.startswith("data.") else problem.replace("data", "it", 1)
        raise TrainingError("CONFIG_INVALID", f"recipe.json does not match its schema: {said}.")
    return recipe


def fingerprint(recipe: RunRecipe, data_sha256: str, micro_batches: int) -> dict[str, Any]:
    """Values that must be equal in a checkpoint and the run that resumes from it, including keys not read here."""
    text = json.dumps({key: value for key, value in recipe.items() if key not in FREE}, sort_keys=True)
    return {"recipe": hashlib.sha256(text.encode()).hexdigest(), "data": data_sha256, "micro_batches": micro_batches}
