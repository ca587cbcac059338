"""The state that training changes: the model, its optimizer, its weight average and the number of updates."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qalign.protocol import RunRecipe
from qalign.weights.tensors import DTYPES

from ..distributed import World, cast_position_tables, full, reshard, shard
from ..optimizer.averaging import WeightAverage
from ..optimizer.optimizer import make_optimizer, parameter_groups
from .trained import TrainedModel


@dataclass
class TrainState:
    """`position_tables` have their stored dtype, while the model holds them in the dtype of its products. `step` is the
    number of updates so far."""

    model: TrainedModel
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    position_tables: dict[str, Tensor]
    step: int = 0

    def update(self) -> None:
        """One optimizer step with the current gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()
        self.step += 1

    @contextmanager
    def evaluated_weights(self) -> Iterator[None]:
        """Within the context, the model has the weights that are evaluated and exported."""
        with self.average.in_place() if self.average is not None else nullcontext():
            reshard(self.model)
            yield
        reshard(self.model)  # the passes leave gathered copies, which the next update would not see change

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of a checkpoint, by names that are equal on all processes: `model.…`, `optimizer.<parameter>.…`
        and `average.<parameter>`. They share storage with the trained tensors, so loading into them restores those."""
        state: dict[str, Tensor] = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    state[f"optimizer.{name}.{key}"] = value if value.ndim else value.view(1)
        if self.average is not None:
            state |= {f"average.{name}": value for name, value in self.average.held.items()}
        return {
            key: value if value.ndim else value.view(1) for key, value in state.items()
        }  # the reader needs a dimension to slice

    def network_state(self, world: World) -> dict[str, Tensor]:
        """The full network on the CPU of rank 0, with the key names of `net`. All processes must call this."""
        state: dict[str, Tensor] = {}
        for key, value in self.model.state_dict().items():
            whole = full(value.detach())  # a collective: every process must call it
            if world.rank == 0:  # a copy, because the weights can change before it is written
                state[key.removeprefix("net.")] = whole.to("cpu", copy=True)
        return state | (self.position_tables if world.rank == 0 else {})


def make_state(
    model: TrainedModel,
    recipe: RunRecipe,
    world: World,
    fill: Callable[[], None] = lambda: None,
    ready: Callable[[nn.Module], None] = lambda module: None,
) -> TrainState:
    """Shard the model over the processes and create the optimizer of the recipe.

    `ready` is called with each part before it is sharded. `fill` then gives their values to weights on the meta device.
    """
    compute = DTYPES[recipe["compute"]]
    shard(model, world, compute, ready)
    fill()
    tables = dict(cast_position_tables(model.net, compute))
    groups = parameter_groups(model.named_parameters(), recipe["learning_rates"], recipe["weight_decay"], model.part_of)
    first, second = recipe["betas"]
    optimizer = make_optimizer(recipe["optimizer"], groups, (first, second), recipe["seed"])
    average = WeightAverage(model, recipe["ema"]) if recipe["ema"] else None
    return TrainState(model, optimizer, average, tables)
