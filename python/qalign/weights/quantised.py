"""Linear layers whose weights are stored as codes, for every model family."""

import logging

import torch
from torch import Tensor, nn

from .codes import encode, product
from .errors import DeviceUnavailable

# Least compute capability: _scaled_mm multiplies e4m3 from Ada on, _int_mm needs the int8 units of Turing.
CAPABILITY = {"fp8": (8, 9), "int8": (7, 5), "nf4": (7, 0)}
DEEP = 8  # layers; in shallower stacks every layer is quantised
log = logging.getLogger(__name__)


class QuantisedLinear(nn.Linear):
    """A linear layer whose weight is stored as codes. On the meta device it has a plain weight, until `put_weight`.

    The checkpoint's keys therefore stay those of the plain model while it loads.
    """

    codes: Tensor
    scales: Tensor

    def __init__(self, source: nn.Linear, kind: str) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.kind = source.in_features, source.out_features, kind
        self.weight, self.bias = source.weight, source.bias

    def put_weight(self, weight: Tensor) -> None:
        """Encode [out, in] and drop the plain weight."""
        codes, scales = encode(self.kind, weight)
        del self._parameters["weight"]
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales)

    def forward(self, x: Tensor) -> Tensor:
        y = product(self.kind, self.codes, self.scales, x.flatten(0, -2)).view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias


def keeps_layer(kind: str, index: int, layers: int) -> bool:
    """Whether a layer of a stack stays in bf16.

    fp8 and int8 keep the first and the last layer of a deep stack, where rounded activations move scores most.
    """
    return kind != "nf4" and layers >= DEEP and index in (0, layers - 1)


def quantise_linear(model: nn.Module, path: str, kind: str, device: torch.device | None = None) -> None:
    """Replace a linear layer of a model in place. A weight on the meta device is encoded when it is put.

    Other weights are encoded on `device`, or where they are.
    """
    parent, _, name = path.rpartition(".")
    module = model.get_submodule(path)
    assert isinstance(module, nn.Linear), path
    layer = QuantisedLinear(module, kind)
    if not module.weight.is_meta:
        layer.put_weight(module.weight.detach().to(device=device))
    setattr(model.get_submodule(parent), name, layer)


def require_products(kind: str, device: torch.device) -> None:
    """Raises DeviceUnavailable for a GPU without the products of the code. Warns on a CPU, which gains no speed."""
    if device.type == "cpu":
        log.warning("precision %s is made for GPUs; on a CPU it saves memory, but fp32 is faster", kind)
        return
    capability = torch.cuda.get_device_capability(device)
    if capability < CAPABILITY[kind]:
        wanted, has = (".".join(map(str, version)) for version in (CAPABILITY[kind], capability))
        raise DeviceUnavailable(
            f"precision {kind} needs a GPU of compute capability {wanted} or higher; "
            f"{torch.cuda.get_device_name(device)} has {has}. Use int8, nf4 or bf16."
        )
