"""Several processes map the files of a chat model, and have the weights of one process."""

from functools import partial
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", reason="NOT RUN: needs the Python package transformers")

import tiny
import torch._dynamo  # before the library, as in chat/setup.py
from gloo import on_ranks

from qalign.training.chat.parts import add_adapters, choose_parts
from qalign.training.chat.setup import cast_weights
from qalign.training.distributed import World, full, shard
from qalign.training.model.trained import TrainedModel
from qalign.transformers_backend.library import is_recomputed, silence, without_network
from qalign.transformers_backend.load import read_network, stored_dtype
from qalign.transformers_backend.source import open_folder

LORA = {"r": 4, "alpha": 8, "dropout": 0.0, "abstractor": True, "quantise_base": None}


class Bare(TrainedModel):
    """A network with its blocks, without pictures."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def sharded_blocks(self) -> list[torch.nn.Module]:
        return [module for module in self.net.modules() if is_recomputed(module)]


def built(folder: Path, read_as: torch.dtype | None, lora: dict | None) -> Bare:
    with without_network():
        silence()
        found = open_folder(folder)
        net = read_network(found, read_as or stored_dtype(found))
    torch.manual_seed(3)
    if lora:
        add_adapters(net, lora, torch.bfloat16)
    else:
        choose_parts(net, [])
    return Bare(net)


def mapped(model: torch.nn.Module) -> int:
    """The number of parameters whose memory is that of a mapped weight file."""
    lines = [
        line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines() if "safetensors" in line
    ]
    spans = [(int(start, 16), int(end, 16)) for start, end in lines]
    return sum(any(a <= value.data_ptr() < b for a, b in spans) for value in model.parameters())


@pytest.mark.parametrize("family", ["qwen3_5", "smolvlm"])
@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_two_processes_have_the_weights_of_one(family: str, lora: dict | None, tmp_path: Path) -> None:
    tiny.write(tmp_path / "tiny", family)

    def work(world: World) -> list[str]:
        true = built(tmp_path / "tiny", torch.bfloat16, lora)
        model = built(tmp_path / "tiny", None, lora)
        whole = len([name for name, _ in model.named_parameters() if ".lora_" not in name])
        assert mapped(model) == whole, "no weight has its own memory"
        shard(model, world, torch.bfloat16, partial(cast_weights, dtype=torch.bfloat16, lora=lora is not None))
        assert mapped(model) == 0
        found = dict(model.named_parameters())
        return [
            name
            for name, value in true.named_parameters()
            if value.dtype != found[name].dtype or not value.equal(full(found[name].detach()))
        ]

    assert on_ranks(2, work) == [[], []]
