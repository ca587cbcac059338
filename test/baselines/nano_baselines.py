"""What nano-1 is measured beside: BRISQUE, and ridge regression on the features of its frozen encoder.

    python test/baselines/nano_baselines.py brisque data/biq2021/dev.jsonl > data/brisque.csv
    python test/baselines/nano_baselines.py ridge runs/.prepared/HASH > data/ridge.csv

`brisque` needs the PyPI packages brisque and opencv-python-headless. `ridge` reads the records and the feature files
that a run with cache_features has left, mean and deviation over the cells of every channel; its penalty is the best of
five-fold cross-validation on the training split. Both write id,score, higher is better, for
`qalign evaluate configs/evaluate/nano.yaml 'ensemble={weight: 0, with: [{name: brisque, csv: data/brisque.csv, weight: 1}]}'`.
"""

import json
import sys
from pathlib import Path

import numpy as np

CELLS = 256
PENALTIES = (30, 100, 300, 1000, 3000, 10000, 30000)


def brisque(records: Path) -> None:
    from brisque import BRISQUE  # its own package; unpickles the four numbers a feature that it ships
    from PIL import Image

    model = BRISQUE(url=False)
    for line in records.open(encoding="utf-8"):
        row = json.loads(line)
        picture = np.asarray(Image.open(records.parent / row["media"]).convert("RGB"))
        print(f'"{row["id"]}",{-float(model.score(picture))!r}', flush=True)


def ridge(folder: Path) -> None:
    train, dev = (load(folder, split) for split in ("train", "dev"))
    random = np.random.default_rng(1).permutation(len(train[2]))
    folds = np.array_split(random, 5)

    def error(penalty: float) -> float:
        total = 0.0
        for fold in folds:
            rest = np.setdiff1d(random, fold)
            total += float(((fit(train[1][rest], train[2][rest], penalty)(train[1][fold]) - train[2][fold]) ** 2).sum())
        return total

    best = min(PENALTIES, key=error)
    print(f"penalty {best}", file=sys.stderr)
    for name, score in zip(dev[0], fit(train[1], train[2], best)(dev[1]), strict=True):
        print(f'"{name}",{float(score)!r}')


def load(folder: Path, split: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ids, features [N, 2K] and ratings [N] of the rated records of a split."""
    rows = [json.loads(line) for line in (folder / f"{split}.jsonl").open(encoding="utf-8")]
    rows = [row for row in rows if "mos" in row]
    (file,) = [f for f in folder.glob(f"{split}-*.features") if "mirrored" not in f.name]
    frames = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["splits"][split]["frames"]
    held = np.memmap(file, np.float16, "r").reshape(frames, -1, CELLS)  # a map of every channel after the other
    features = []
    for row in rows:
        maps = held[row["first_frame"]].astype(np.float32)
        features.append(np.concatenate([maps.mean(1), maps.std(1)]))
    return [row["id"] for row in rows], np.stack(features).astype(np.float64), np.array([row["mos"] for row in rows])


def fit(x: np.ndarray, y: np.ndarray, penalty: float):
    mean, scale = x.mean(0), x.std(0) + 1e-6
    z = (x - mean) / scale
    weights = np.linalg.solve(z.T @ z + penalty * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    return lambda other: (other - mean) / scale @ weights + y.mean()


if __name__ == "__main__":
    print("id,score")
    {"brisque": brisque, "ridge": ridge}[sys.argv[1]](Path(sys.argv[2]))
