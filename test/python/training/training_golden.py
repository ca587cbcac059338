"""The reference checkpoints for tests, read from the copies in the repository."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from qalign.mplug_owl2.model import MPLUGOwl2
from qalign.mplug_owl2.normalise import CLIP, normalisation_table, normalise
from qalign.mplug_owl2.tokenizer import Tokenizer
from qalign.training.data.batch import Batch, make_batch
from qalign.training.data.conversation import Conversation, build_conversation, training_prompt
from qalign.training.files.model_files import load_network

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared" / "golden"
GOLDEN = ROOT / "test" / "fixtures" / "golden"


@dataclass(frozen=True)
class Reference:
    net: MPLUGOwl2
    tokenizer: Tokenizer
    size: int


def load_reference(folder: Path) -> Reference:
    net = load_network(folder / "model")
    return Reference(net, Tokenizer(folder / "model"), net.config.vision.image_size)


def prepared(path: Path, size: int) -> np.ndarray:
    """Pad to a square and resize like TypeScript, but with Pillow like the reference. → uint8 [S, S, 3]."""
    picture = Image.open(path).convert("RGB")
    side = max(picture.size)
    square = Image.new("RGB", (side, side), (122, 116, 104))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))


def reference_batch(folder: Path, reference: Reference, items: list[dict]) -> tuple[list[Conversation], Batch]:
    conversations = [
        build_conversation(reference.tokenizer, training_prompt(i["question"]), i["answer"], i.get("level"))
        for i in items
    ]
    frames = [len(item["inputs"]) for item in items]
    stack = np.stack([prepared(folder / name, reference.size) for item in items for name in item["inputs"]])
    pixels = normalise(torch.from_numpy(stack), normalisation_table(CLIP), torch.float32)
    return conversations, make_batch(
        conversations, frames, reference.net.config.tokens_per_frame, torch.device("cpu"), pixels
    )
