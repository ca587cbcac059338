"""`python -m qalign.training.measure`: images/s, MFU and peak memory of full tuning with random weights.

Speed and memory of a step depend only on shapes, so no checkpoint and no dataset is needed. On one GPU:
    python -m qalign.training.measure --device cuda --micro-batch 32 --batch 64
"""

import argparse
import json
import sys
import time

import torch

from qalign.mplug_owl2.model import IMAGE_TOKEN
from qalign.mplug_owl2.random_weights import ARCHITECTURES, architecture, random_model

from .data.batch import make_batch
from .data.conversation import IGNORED, Conversation
from .distributed import cast_position_tables, join_world, leave_world, peak_memory, shard
from .losses import next_token_sum
from .model.flops import FlopCounter, device_peak
from .model.gradients import KEEP, GradientSum
from .model.supervised import SupervisedModel
from .optimizer.optimizer import make_optimizer, parameter_groups
from .process_exit import end_process

PROMPT, ANSWER = 19, 9  # tokens of a published question: the prompt without the picture, and the supervised answer


def conversation() -> Conversation:
    ids = (1, 2, 3, 4, IMAGE_TOKEN, *range(5, 5 + PROMPT - 4), *range(30, 30 + ANSWER))
    return Conversation(ids, (IGNORED,) * (len(ids) - ANSWER) + ids[-ANSWER:], len(ids) - 3)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m qalign.training.measure", description=__doc__)
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="mplug_owl2_7b")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64, help="pictures per update and process")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--recompute", type=float, default=1.0, help="share of the blocks that are recomputed, 0 to 1")
    parser.add_argument("--kernels", choices=("auto", "plain"), default="auto", help="auto: fused on cuda")
    parser.add_argument("--keep-unsharded", choices=KEEP, default="nothing", help="for several processes")
    options = parser.parse_args(argv)
    world = join_world(options.device)
    config = architecture(options.architecture)
    net = random_model(config, world.device, torch.bfloat16).train()
    fused = options.kernels == "auto" and world.device.type == "cuda"
    model = SupervisedModel(net, recompute=options.recompute, fused=fused)
    counter, peak = FlopCounter(net, cached_features=False), device_peak(world.device, torch.bfloat16)
    list(cast_position_tables(net, torch.bfloat16))
    shard(model, world, torch.bfloat16)
    groups = parameter_groups(model.named_parameters(), {"default": 2e-5}, 0.0)
    optimizer = make_optimizer("adamw_8bit", groups, (0.9, 0.999))
    conversations, frames = [conversation()] * options.micro_batch, [1] * options.micro_batch
    height, width, channels = config.frame_shape
    shape = (options.micro_batch, channels, height, width)
    pixels = torch.randn(shape, device=world.device, dtype=torch.bfloat16)
    passes = options.batch // options.micro_batch
    gradients = GradientSum(model, world, options.keep_unsharded, passes)
    seconds = []
    for step in range(options.warm_up + options.steps):
        begun = time.monotonic()
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"]
        for _ in range(passes):
            batch = make_batch(conversations, frames, config.tokens_per_frame, world.device, pixels)
            with gradients.micro_batch():
                (next_token_sum(model(batch), batch.labels) / (options.batch * ANSWER)).backward()
        gradients.finish(1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if world.device.type == "cuda":
            torch.cuda.synchronize()
        if step >= options.warm_up:
            seconds.append(time.monotonic() - begun)
    each = sum(seconds) / len(seconds)
    item = counter.of(1, PROMPT + ANSWER + config.tokens_per_frame, ANSWER)
    name = torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else "cpu"
    result = {
        "device": name,
        "architecture": options.architecture,
        "processes": world.size,
        "batch": options.batch,
        "micro_batch": options.micro_batch,
        "recompute": options.recompute,
        "fused_kernels": fused,
        "images_per_s": options.batch * world.size / each,
        "mfu": options.batch * item / each / peak if peak else None,
        "peak_memory_bytes": peak_memory(world.device),
        "seconds_per_step": [round(value, 4) for value in seconds],
    }
    if world.rank == 0:
        print(json.dumps(result))
    leave_world(world)
    return 0


if __name__ == "__main__":
    end_process(main(sys.argv[1:]))
