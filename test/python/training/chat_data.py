"""Prepared pictures of different sizes for chat models, and run directories that use them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

LEVELS = ("excellent", "good", "fair", "poor", "bad")
SIZES = ((96, 64), (64, 64), (64, 96))  # height and width, multiples of 32


def prepare_rectangles(
    folder: Path, preparation: dict[str, Any], count: int = 24, sizes: tuple = SIZES, **changes: Any
) -> Path:
    """Pictures whose brightness shows their level, and a dev split of eight. `changes` are keys of all rows."""
    folder.mkdir()
    random = np.random.default_rng(0)
    splits = {}
    for split, items in (("train", count), ("dev", 8)):
        rows, offset = [], 0
        with (folder / f"{split}.pixels").open("wb") as pixels:
            for k in range(items):
                level = k % 5
                height, width = sizes[k % 3]
                picture = random.integers(0, 60, (1, height, width, 3)) + 190 - 40 * level
                pixels.write(picture.astype(np.uint8).tobytes())
                rows.append(
                    {"id": f"{split}{k}", "question": "How would you rate the quality of this image?\n<|image|>",
                     "answer": f"The quality of the image is {LEVELS[level]}.", "level": LEVELS[level],
                     "first_frame": k, "frames": 1, "offset": offset, "height": height, "width": width,
                     "dataset": "toy", "mos": 5.0 - level, "mos_std": 0.3,
                     "level_probs": [float(j == level) for j in range(5)], **changes}
                )  # fmt: skip
                offset += picture.size
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(text)
        splits[split] = {
            "layout": "rectangles",
            "preparation": preparation,
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
    (folder / "manifest.json").write_text(json.dumps({"splits": splits}))
    return folder


def recipe_of(model: Path, data: Path, **changes: Any) -> dict[str, Any]:
    return {
        "model": "tiny", "model_path": str(model), "data_path": str(data), "init": "pretrained",
        "backend": "transformers", "chat": {"thinking": False}, "encoder_weights": None, "base_path": None,
        "compute": "fp32", "ema": None, "trackers": [], "skipped": 0, "score_text": False, "data": {"weights": {}},
        "weights": "fp32", "device": "cpu", "seed": 7, "epochs": 2, "max_steps": None, "batch_size": 8,
        "micro_batch": 4, "learning_rates": {"default": 1e-3}, "schedule": "cosine", "warmup": 0.1,
        "weight_decay": 0.0, "betas": [0.9, 0.999], "clip": 1.0, "optimizer": "adamw", "freeze": [], "lora": None,
        "recompute": True, "dropout": 0, "augment": {"flip": True}, "cache_features": False, "fixed_pair_std": True,
        "objective": {"next_token": 1.0, "soft_label": 0, "fidelity": 0, "in_level": 0.0},
        "save_every": 2, "keep_checkpoints": 3, **changes,
    }  # fmt: skip


def make_run(folder: Path, model: Path, data: Path, **changes: Any) -> Path:
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(recipe_of(model, data, **changes)))
    return folder
