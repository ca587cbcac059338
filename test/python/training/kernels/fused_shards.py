"""A process of a pair that shards a model with FSDP. Prints how far gradients of fused blocks are from plain ones."""

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from training_golden import GOLDEN, load_reference, reference_batch

from qalign.training.distributed import World, full, join_world, shard
from qalign.training.losses import next_token_sum
from qalign.training.model.supervised import SupervisedModel
from qalign.training.process_exit import end_process

FOLDER = GOLDEN / "tiny_a"


def gradients(world: World, fused: bool) -> torch.Tensor:
    """All gradients after two micro-batches, in fp64."""
    reference = load_reference(FOLDER)
    model = SupervisedModel(reference.net, 0.5, fused=fused).train()
    shard(model, world, torch.float32)
    case = json.loads((FOLDER / "training.json").read_text())[-1]
    _, batch = reference_batch(FOLDER, reference, case["items"])
    for _ in range(2):
        next_token_sum(model(batch), batch.labels).backward()
    return torch.cat([full(value.grad).flatten().double() for value in model.parameters() if value.grad is not None])


if __name__ == "__main__":
    joined = join_world("cpu")
    plain, fused = (gradients(joined, kind) for kind in (False, True))
    if joined.rank == 0:
        print(json.dumps({"size": joined.size, "difference": ((fused - plain).norm() / plain.norm()).item()}))
    torch.distributed.barrier()
    end_process(0)
