"""Several processes load a model without holding it whole: each reads its rows, with the values of one process."""

import json
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from gloo import on_ranks
from safetensors.torch import load_file, save_file
from training_golden import GOLDEN, ROOT

from qalign.mplug_owl2.config import load_config, parse_config
from qalign.mplug_owl2.model import IMAGE_TOKEN
from qalign.mplug_owl2.random_weights import TINY, random_model
from qalign.training.data.batch import make_batch
from qalign.training.data.conversation import IGNORED, Conversation
from qalign.training.distributed import World, full, shard
from qalign.training.model.build import ModelSource, build_model, whole_network
from qalign.training.setup import begin_model
from qalign.weights.errors import CheckpointError, NonFinite
from qalign.weights.rows import StoredRows

RANKS = 4
LORA = {"r": 4, "alpha": 8, "dropout": 0.0, "abstractor": True, "quantise_base": None}
RECIPE = {
    "device": "cpu",
    "init": "pretrained",
    "lora": None,
    "seed": 7,
    "freeze": [],
    "dropout": 0.0,
    "recompute": False,
}
TINY_A = GOLDEN / "tiny_a" / "model"
NANO = ROOT / "configs" / "models" / "nano"


def values(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: full(value.detach()) for name, value in tensors.items()}


def loaded(recipe: dict, source: ModelSource, world: World) -> dict[str, torch.Tensor]:
    model, weights = begin_model(recipe, source, world)
    assert weights is not None and all(value.is_meta for name, value in values(model).items() if ".lora_" not in name)
    shard(model, world, torch.float32)
    weights.fill(model, "", world.device)
    return values(model)


@pytest.mark.parametrize(
    ("lora", "dtype", "adapter"),
    [
        (None, torch.float32, NANO),
        (None, torch.float32, None),
        (None, torch.bfloat16, None),
        (None, torch.bfloat16, GOLDEN / "tiny_a_lora"),
        (LORA, torch.bfloat16, None),
        (LORA | {"quantise_base": "nf4"}, torch.bfloat16, None),
        (LORA | {"quantise_base": "int8"}, torch.float32, None),
    ],
    ids=["nano", "fp32", "bf16", "merged", "lora", "nf4", "int8"],
)
def test_loaded_weights_are_those_of_the_whole_network(
    lora: dict | None, dtype: torch.dtype, adapter: Path | None
) -> None:
    source = ModelSource(NANO, None, dtype) if adapter == NANO else ModelSource(TINY_A, adapter, dtype)
    recipe = RECIPE | {"lora": lora}

    def work(world: World) -> list[str]:
        found = loaded(recipe, source, world)
        true = values(build_model(recipe, whole_network(recipe, source)))
        assert found.keys() == true.keys()
        return [
            name for name, value in true.items() if value.dtype != found[name].dtype or not value.equal(found[name])
        ]

    for size in (1, RANKS):
        assert on_ranks(size, work) == [[]] * size


def test_a_pass_over_uneven_shards_equals_that_of_the_whole_network() -> None:
    source = ModelSource(TINY_A, None, torch.float32)
    tokens = load_config(TINY_A).tokens_per_frame
    talk = Conversation((1, IMAGE_TOKEN, 5, 6, 7), (IGNORED, IGNORED, IGNORED, 6, 7), 3)
    pixels = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    batch = make_batch([talk] * 2, [1, 1], tokens, torch.device("cpu"), pixels)

    def work(world: World) -> list[float]:
        model, weights = begin_model(RECIPE, source, world)
        shard(model, world, torch.float32)
        weights.fill(model, "", world.device)
        logits = model(batch)
        logits.sum().backward()
        return [float(logits.abs().sum()), float(full(model.net.lm_head.weight.grad).abs().sum())]

    (alone,) = on_ranks(1, work)
    for shared in on_ranks(3, work):
        assert shared == pytest.approx(alone, rel=1e-5)


def write_model(folder: Path, layers: int = 8) -> int:
    """A random model of 512 wide layers → its bytes."""
    folder.mkdir()
    config = TINY | {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config))
    state = random_model(parse_config(config), "cpu", torch.float32).state_dict()
    save_file({key: value.clone() for key, value in state.items()}, folder / "model.safetensors")
    return sum(value.nbytes for value in state.values())


@contextmanager
def peak_anonymous():
    """A list with the largest growth of this process's own memory in bytes. Mapped files do not count."""

    def held() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("RssAnon")))

    begun, found, ended = held(), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.002):
            found[0] = max(found[0], held() - begun)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        found[0] = max(found[0], held() - begun)
        ended.set()
        thread.join()


def test_no_process_holds_or_reads_the_model_whole(tmp_path: Path) -> None:
    total = write_model(tmp_path / "model")
    source = ModelSource(tmp_path / "model", None, torch.float32)

    def work(world: World) -> tuple[int, int]:
        read, plain = [0], StoredRows.read

        def counted(self: StoredRows, *asked: object) -> torch.Tensor:
            value = plain(self, *asked)
            read[0] += value.nbytes
            return value

        StoredRows.read = counted
        with peak_anonymous() as peak:
            model, weights = begin_model(RECIPE, source, world)
            shard(model, world, torch.float32)
            weights.fill(model, "", world.device)
            assert sum(p.to_local().nbytes for p in model.parameters()) < 1.1 * total / world.size
        return peak[0], read[0]

    for peak, read in on_ranks(RANKS, work):
        assert read < 1.1 * total / RANKS
        assert peak < 0.5 * total, f"{peak / total:.2f} of the model"


def test_a_wrong_checkpoint_is_refused_by_all(tmp_path: Path) -> None:
    def refusal(folder: Path, world: World) -> str:
        try:
            loaded(RECIPE, ModelSource(folder, None, torch.float32), world)
        except (CheckpointError, NonFinite) as error:
            return f"{type(error).__name__}: {error}"
        return "nothing"

    write_model(tmp_path / "model", layers=1)
    state = load_file(tmp_path / "model" / "model.safetensors")
    state["lm_head.weight"][-1, -1] = torch.nan  # in the last rank's rows
    save_file(state, tmp_path / "model" / "model.safetensors")
    for said in on_ranks(2, lambda world: refusal(tmp_path / "model", world)):
        assert said.startswith("NonFinite") and "lm_head.weight" in said
    del state["lm_head.weight"]
    save_file(state, tmp_path / "model" / "model.safetensors")
    for said in on_ranks(2, lambda world: refusal(tmp_path / "model", world)):
        assert said.startswith("CheckpointError") and "1 missing: lm_head.weight" in said
