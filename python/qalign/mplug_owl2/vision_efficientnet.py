"""EfficientNet-Lite0 as an image encoder: feature maps of several stages become the tokens of one grid.

Source of the network: Tan and Le, EfficientNet (arXiv 1905.11946), in the Lite variant (no squeeze-and-excitation,
ReLU6). training/files/encoder_weights.py folds every batch norm into its convolution. That stores two numbers less per
channel. On a CPU in channels-last order it is several times faster than the unfolded network.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, pad
from torch.utils.checkpoint import checkpoint

from qalign.weights.errors import ConfigError

from .config import VisionConfig
from .normalise import Normalisation
from .side_by_side import side_by_side


class Stage(NamedTuple):
    blocks: int
    kernel: int
    stride: int  # in the first block
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
CELL = 32  # pixels: the total stride of the last stages
TOGETHER = 4  # views per recomputed chunk when later stages are trained
KEPT_PIXELS = 2**23  # of a batch whose maps are kept: 128 views of 256 pixels take 3 GB


class Convolution(nn.Module):
    """A convolution with bias and TensorFlow's SAME padding: an odd row or column goes to the bottom and the right."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in // groups, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(channels_out))
        self.stride, self.groups = stride, groups

    def forward(self, x: Tensor) -> Tensor:
        before, after = same_padding(x.shape[-1], self.weight.shape[-1], self.stride)
        if before != after:
            x = pad(x, (before, after, before, after))
            before = 0
        return conv2d(x, self.weight, self.bias, self.stride, before, 1, self.groups)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Rows of padding before and after, for an output of ceil(size / stride) rows."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


class Block(nn.Module):
    """Inverted residual: expansion, depthwise convolution, projection."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.expand = Convolution(channels_in, wide, 1) if expansion > 1 else None
        self.depthwise = Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = Convolution(wide, channels_out, 1)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else relu6(self.expand(x))
        narrow = self.project(relu6(self.depthwise(wide)))
        return narrow + x if self.residual else narrow


def relu6(x: Tensor) -> Tensor:
    return nn.functional.relu6(x) if x.requires_grad else nn.functional.relu6(x, inplace=True)


class EfficientNetLite0Encoder(nn.Module):
    """Normalised pixels [B, 3, V·S, S] → [B, V·N, C]: features of the stages for each cell of 32 × 32 pixels.

    The V views of a frame pass the convolutions separately. Each has N = (S/32)² cells.

    `visual_model` of the config names the stages (0 … 6, finest first). Stages in `statistics_of` give the mean and
    standard deviation of each channel in a cell. Stages in `means_of` give the mean alone. Together these are K numbers
    for each cell. `token_mean` and `token_scale` standardise them, and `projection` maps them to C = `hidden_size`. The
    convolutions are pretrained. The projection is not: it is trained with the later parts of the model.

    With V > 1, `token_mean` and `token_scale` are [V, K], and a row of `view_embedding` [V, C] is added to the tokens
    of each view. With V = 1 they are [K], and there is no `view_embedding`.
    """

    has_cls_token = False
    takes_views = True

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.normalisation = config.normalisation
        self.statistics_of = stage_numbers(config, "statistics_of")
        self.means_of = stage_numbers(config, "means_of")
        if config.image_size % CELL:
            raise ConfigError(f"visual_model.image_size is {config.image_size}; it must be a multiple of {CELL}.")
        self.grid, self.views = config.image_size // CELL, len(config.views)
        self.stem = Convolution(3, STEM_CHANNELS, 3, 2)
        self.stages = nn.ModuleList()
        channels = STEM_CHANNELS
        for count, kernel, stride, expansion, wide in STAGES[: max(self.statistics_of + self.means_of) + 1]:
            blocks = []
            for place in range(count):
                blocks.append(Block(channels, wide, kernel, stride if place == 0 else 1, expansion))
                channels = wide
            self.stages.append(nn.Sequential(*blocks))
        width = sum(2 * STAGES[s].channels for s in self.statistics_of) + sum(STAGES[s].channels for s in self.means_of)
        shape = (width,) if self.views == 1 else (self.views, width)
        self.register_buffer("token_mean", torch.zeros(shape))
        self.register_buffer("token_scale", torch.ones(shape))
        self.projection = nn.Linear(width, config.hidden_size)
        if self.views > 1:
            self.view_embedding = nn.Parameter(torch.empty(self.views, config.hidden_size))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.project(self.measure(pixels))

    def project(self, measured: Tensor) -> Tensor:
        """Cells [B, V·N, K] → tokens [B, V·N, C]."""
        tokens = self.projection((measured - self.of_cells(self.token_mean)) * self.of_cells(self.token_scale))
        return tokens if self.views == 1 else tokens + self.of_cells(self.view_embedding)

    def of_cells(self, of_views: Tensor) -> Tensor:
        """Values of each view [..., V, K] → of each cell [..., V·N, K]. With one view they broadcast as they are."""
        return of_views if self.views == 1 else of_views.repeat_interleave(self.grid**2, -2)

    @torch.no_grad()
    def standardise(self, measured: Tensor) -> None:
        """Set `token_mean` and `token_scale` so that these cells [B, V·N, K] have mean 0 and standard deviation 1.

        Each view is standardised separately.
        """
        flat = measured.unflatten(1, (self.views, -1)).transpose(0, 1).flatten(1, 2).double()
        self.token_mean.copy_(flat.mean(1).view_as(self.token_mean))
        self.token_scale.copy_((1 / (flat.std(1) + 1e-4)).view_as(self.token_scale))

    def measure(self, pixels: Tensor) -> Tensor:
        """Normalised pixels [B, 3, V·S, S] → cells [B, V·N, K], from the convolutions alone.

        A CPU processes every view alone. Its cells then cannot depend on its batch, and larger batches exceed the
        caches. Two cores process 21 pictures of 448 pixels per second one by one, but 4 to 8 in batches of 4 and 8.
        """
        views = self._apart(pixels)
        cells = torch.cat(self._alone(self._measure, views)) if views.is_cpu else self._measure(views)
        return self._by_frame(cells)

    def begin(self, pixels: Tensor, stop: int) -> Tensor:
        """Run the stages before `stop`. → their values of the cells and, if stages remain, the last map: [B, V·M]."""
        begun = self._alone(lambda view: self._begin(view, stop), self._apart(pixels))
        return torch.cat(begun).view(len(pixels), -1)

    def resume(self, begun: Tensor, stop: int) -> Tensor:
        """The output of `begin` [B, V·M] → cells [B, V·N, K], through the stages from `stop` on.

        While these stages are trained, larger batches than KEPT_PIXELS keep only the inputs of chunks of TOGETHER views
        for the backward pass. The maps of 64 views of 512 pixels would take 6 GB. Allocating that memory takes longer
        than recomputing the maps.
        """
        views = begun.view(len(begun) * self.views, -1)
        if not (torch.is_grad_enabled() and any(p.requires_grad for p in self.stages[stop:].parameters())):
            return self._by_frame(self._resume(views, stop))
        if len(views) * (self.grid * CELL) ** 2 <= KEPT_PIXELS:
            return self._by_frame(torch.cat([self._resume(part, stop) for part in views.split(16 * TOGETHER)]))
        parts = [checkpoint(self._resume, part, stop, use_reentrant=False) for part in views.split(TOGETHER)]
        return self._by_frame(torch.cat(parts))

    def _alone(self, work: Callable[[Tensor], Tensor], views: Tensor) -> list[Tensor]:
        """`work` of each view. The views of models with several share the cores; one view alone uses all of them."""
        parts = views.split(1)
        if self.views == 1 or torch.is_grad_enabled() or not views.is_cpu:
            return [work(part) for part in parts]
        return side_by_side(work, parts)

    def _apart(self, pixels: Tensor) -> Tensor:
        """Frames [B, 3, V·S, S] → their views [B·V, 3, S, S]."""
        return pixels if self.views == 1 else pixels.unflatten(2, (self.views, -1)).transpose(1, 2).flatten(0, 1)

    def _by_frame(self, cells: Tensor) -> Tensor:
        """Cells of views [B·V, N, K] → of frames [B, V·N, K]."""
        return cells if self.views == 1 else cells.unflatten(0, (-1, self.views)).flatten(1, 2)

    def _measure(self, pixels: Tensor) -> Tensor:
        found: dict[int, Tensor] = {}
        self._run(self._first(pixels), 0, len(self.stages), found)
        return self._cells(found)

    def _begin(self, pixels: Tensor, stop: int) -> Tensor:
        found: dict[int, Tensor] = {}
        last = self._run(self._first(pixels), 0, stop, found)
        parts = [found[s] for s in self._order if s < stop] + ([last] if stop < len(self.stages) else [])
        return torch.cat([part.contiguous().flatten(1) for part in parts], dim=1)

    def _resume(self, begun: Tensor, stop: int) -> Tensor:
        known = [s for s in self._order if s < stop]
        cells = self.grid**2
        sizes = [(2 if s in self.statistics_of else 1) * STAGES[s].channels * cells for s in known]
        *values, last = begun.split([*sizes, begun.shape[1] - sum(sizes)], dim=1)
        found = {s: v.unflatten(1, (-1, self.grid, self.grid)) for s, v in zip(known, values, strict=True)}
        if stop < len(self.stages):
            channels = STAGES[stop - 1].channels
            side = math.isqrt(last.shape[1] // channels)
            x = last.view(-1, channels, side, side).contiguous(memory_format=torch.channels_last)
            self._run(x, stop, len(self.stages), found)
        return self._cells(found)

    @property
    def _order(self) -> list[int]:
        return self.statistics_of + self.means_of

    def _first(self, pixels: Tensor) -> Tensor:
        scaled = to_lite0_scale(pixels, self.normalisation)
        return relu6(self.stem(scaled.contiguous(memory_format=torch.channels_last)))

    def _run(self, x: Tensor, start: int, stop: int, found: dict[int, Tensor]) -> Tensor:
        for number in range(start, stop):
            x = self.stages[number](x)
            if number in self.statistics_of:
                found[number] = cell_statistics(x, self.grid)
            elif number in self.means_of:
                found[number] = cells(x, self.grid)
        return x

    def _cells(self, found: dict[int, Tensor]) -> Tensor:
        return torch.cat([found[s] for s in self._order], dim=1).flatten(2).transpose(1, 2)


def stage_numbers(config: VisionConfig, name: str) -> list[int]:
    found = config.raw.get(name)
    if not isinstance(found, list) or not found or any(type(s) is not int or not 0 <= s < len(STAGES) for s in found):
        raise ConfigError(f"visual_model.{name} is {found!r}; it must list stages, from 0 to {len(STAGES) - 1}.")
    return found


def to_lite0_scale(pixels: Tensor, normalisation: Normalisation) -> Tensor:
    """Normalised pixels → (v − 127)/128 with v in 0 … 255, the input scale of EfficientNet-Lite."""
    shape = (1, 3, 1, 1)
    mean = torch.tensor(normalisation.mean, device=pixels.device, dtype=pixels.dtype).view(shape)
    std = torch.tensor(normalisation.std, device=pixels.device, dtype=pixels.dtype).view(shape)
    return pixels * (std * (255 / 128)) + (mean * 255 - 127) / 128


def cells(x: Tensor, grid: int) -> Tensor:
    """Mean of every cell: [B, C, H, W] → [B, C, grid, grid]."""
    return avg_pool2d(x, x.shape[-1] // grid) if x.shape[-1] != grid else x


def cell_statistics(x: Tensor, grid: int) -> Tensor:
    """Mean and standard deviation of every cell: [B, C, H, W] → [B, 2·C, grid, grid]."""
    mean = cells(x, grid)
    variance = cells(x.square(), grid) - mean.square()
    return torch.cat([mean, variance.clamp_min(1e-6).sqrt()], dim=1)
