"""`python write_reference.py FOLDER FAMILY PICTURE…`: writes a tiny checkpoint and prints what transformers computes.

The printed JSON has a row for each picture: the text, the logits of the level words and ln Σ exp over the vocabulary.
"""

import json
import sys
from pathlib import Path

import tiny
import torch
from PIL import Image

from qalign.transformers_backend.families import FAMILIES
from qalign.transformers_backend.library import library_class, without_network

QUESTION = "How would you rate the quality of this image?"
STEM = "The quality of the image is"


def main(folder: str, family: str, pictures: list[str]) -> None:
    processor = tiny.write(Path(folder), family)
    with without_network(), torch.inference_mode():
        model = library_class(FAMILIES[family].model).from_pretrained(folder, dtype=torch.float32).eval()
        content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
        chat = processor.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        words = [processor.tokenizer(f" {word}", add_special_tokens=False).input_ids for word in tiny.LEVELS]
        rows = []
        for name in pictures:
            given = processor(text=[chat + STEM], images=[[Image.open(name).convert("RGB")]], return_tensors="pt")
            logits = model(**given, use_cache=False).logits[0, -1].float()
            levels = [logits[ids[0]].item() for ids in words]
            rows.append({"text": chat + STEM, "logits": levels, "log_sum_exp": logits.logsumexp(0).item()})
    print(json.dumps(rows))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
