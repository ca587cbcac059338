"""What training changes: the model, its optimizer, their average, and how many updates there were."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from qalign.protocol import RunRecipe
from qalign.weights.tensors import DTYPES

from ..distributed import World, cast_position_tables, full, shard
from ..optimizer.averaging import WeightAverage
from ..optimizer.optimizer import make_optimizer, parameter_groups
from .supervised import SupervisedModel


@dataclass
class TrainState:
    """`position_tables` are the model's as they were stored: it has them in the precision of its products. `step`
    counts the updates so far."""

    model: SupervisedModel
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    position_tables: dict[str, Tensor]
    step: int = 0

    def update(self) -> None:
        """One step of the optimizer by the gradients that are there."""
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()
        self.step += 1

    def evaluated_weights(self) -> AbstractContextManager[None]:
        """Inside, the model has the weights that are evaluated and exported."""
        return self.average.in_place() if self.average is not None else nullcontext()

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor to save, by a name that is the same on every process: `model.…`, `optimizer.<parameter>.…` and
        `average.<parameter>`. All share their storage with what is trained, so that loading into them restores it."""
        state: dict[str, Tensor] = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    state[f"optimizer.{name}.{key}"] = value if value.ndim else value.view(1)
        if self.average is not None:
            state |= {f"average.{name}": value for name, value in self.average.held.items()}
        return {key: value if value.ndim else value.view(1) for key, value in state.items()}  # the reader slices

    def network_state(self, world: World) -> dict[str, Tensor]:
        """The whole network on the CPU of rank 0, with published key names; gathered by all processes."""
        state: dict[str, Tensor] = {}
        for key, value in self.model.state_dict().items():
            whole = full(value.detach())  # every process takes part
            if world.rank == 0:  # a copy: the weights may change before it is written
                state[key.removeprefix("net.")] = whole.to("cpu", copy=True)
        return state | (self.position_tables if world.rank == 0 else {})


def make_state(model: SupervisedModel, recipe: RunRecipe, world: World) -> TrainState:
    """Shards the model over the processes and gives it the optimizer of the recipe."""
    compute = DTYPES[recipe["compute"]]
    tables = dict(cast_position_tables(model.net, compute))
    shard(model, world, compute)
    groups = parameter_groups(model.named_parameters(), recipe["learning_rates"], recipe["weight_decay"])
    first, second = recipe["betas"]
    optimizer = make_optimizer(recipe["optimizer"], groups, (first, second), recipe["seed"])
    average = WeightAverage(model, recipe["ema"]) if recipe["ema"] else None
    return TrainState(model, optimizer, average, tables)
