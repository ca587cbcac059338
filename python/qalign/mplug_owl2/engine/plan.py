"""The order of all rows in one packed pass, computed once per set of questions.

The residual stream is in sequence order: the rows of question 0, then those of question 1. Modality-adaptive products
read blocks: every image row, then every text row. The norm before them reorders, and so does the kernel after them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from .attention import Spans
from .layout import IMAGE, Layout


@dataclass(frozen=True)
class Question:
    """One prompt about one item: its layout, and the position of the prompt's frames in the flat batch."""

    layout: Layout
    first_frame: int  # the frames are consecutive
    whole: bool = True  # about all frames of its item


@dataclass(frozen=True)
class Rows:
    """The rows that a layer continues with, in sequence order. All tables are int32 on the device."""

    blocks: Tensor  # [Q] their rows in block order
    query_rows: Tensor  # [Q] their rows in the matrix of queries
    places: Tensor  # [Q] positions
    ways: Tensor  # [Q] 1 for image, 0 for text
    spans: Spans


@dataclass(frozen=True)
class Plan:
    """Tables of one pass. Questions of equal layout should be adjacent."""

    images: int  # Image rows.
    frames: tuple[int, int]  # First and end of the frames that the questions use.
    text: Tensor  # int64: ids of the text rows of each run of equal layouts.
    sources: Tensor  # [R]: a row of the features of `frames` and `text` together.
    order: Tensor  # [R]: the row in sequence order of each row in block order.
    ways: Tensor  # [R]: 1 for image, 0 for text, in block order.
    all: Rows
    last: Rows  # The last row of each question. Their queries are already in this order.
    last_rows: Tensor  # [questions]: these rows in sequence order.
    prefixes: tuple[tuple[int, ...], ...]  # Ids of the distinct constant prefixes in their order.
    key_rows: Tensor  # [K]: rows of the image block, the text block and the prefixes together.
    key_places: Tensor  # [K]: positions.


@dataclass(frozen=True)
class Run:
    """Adjacent questions of equal layout, and where their rows begin."""

    layout: Layout
    frames: Tensor  # [questions] the first frame of each
    image_at: int  # in the image block
    text_at: int  # in the text block
    id_at: int  # among the ids of all runs


def make_plan(questions: Sequence[Question], tokens_per_frame: int, device: torch.device) -> Plan:
    """The tables of a pass over these questions, with one copy to the device."""
    runs = _runs(questions)
    used = [question for question in questions if question.layout.frames]
    first = min((question.first_frame for question in used), default=0)
    stop = max((question.first_frame + question.layout.frames for question in used), default=0)
    images = sum(len(run.frames) * run.layout.image_rows for run in runs)
    texts = sum(len(run.frames) * len(run.layout.text) for run in runs)
    prefixes = tuple(dict.fromkeys(run.layout.prefix for run in runs if run.layout.prefix))
    held_at = dict(zip(prefixes, _starts(map(len, prefixes)).add(images + texts).tolist(), strict=False))
    parts = [_run_tables(run, images, first * tokens_per_frame, (stop - first) * tokens_per_frame) for run in runs]
    block, way, place, source = (torch.cat(part) for part in zip(*parts, strict=True))
    of_keys = [_key_tables(run, part[0], held_at) for run, part in zip(runs, parts, strict=True)]
    keys, key_place = (torch.cat(part) for part in zip(*of_keys, strict=True))
    shapes = [(len(run.frames), run.layout.rows, run.layout.length) for run in runs]
    query_starts = _starts(rows for count, rows, _ in shapes for _ in range(count))
    key_starts = _starts(length for count, _, length in shapes for _ in range(count))
    order = torch.empty_like(block)
    order[block] = torch.arange(len(block))
    end, numbers = query_starts[1:] - 1, torch.arange(len(query_starts))
    tables = [source, order, way[order], block, place, way, query_starts, key_starts, keys, key_place]
    tables += [end, block[end], place[end], way[end], numbers]
    source, order, block_way, block, place, way, query_starts, key_starts, keys, key_place, *last = _to_device(
        tables, device
    )
    end, end_block, end_place, end_way, numbers = last
    text = torch.tensor([token for run in runs for token in run.layout.text], dtype=torch.long)
    return Plan(
        images=images,
        frames=(first, stop),
        text=_pinned(text, device).to(device, non_blocking=True),
        sources=source,
        order=order,
        ways=block_way,
        all=Rows(block, block, place, way, Spans(tuple(shapes), query_starts, key_starts)),
        last=Rows(
            end_block,
            numbers[:-1],
            end_place,
            end_way,
            Spans(tuple((count, 1, length) for count, _, length in shapes), numbers, key_starts),
        ),
        last_rows=end,
        prefixes=prefixes,
        key_rows=keys,
        key_places=key_place,
    )


def _runs(questions: Sequence[Question]) -> list[Run]:
    groups: list[tuple[Layout, list[int]]] = []
    for question in questions:
        if not groups or groups[-1][0] != question.layout:
            groups.append((question.layout, []))
        groups[-1][1].append(question.first_frame)
    runs, image_at, text_at, id_at = [], 0, 0, 0
    for layout, frames in groups:
        runs.append(Run(layout, torch.tensor(frames), image_at, text_at, id_at))
        image_at += len(frames) * layout.image_rows
        text_at += len(frames) * len(layout.text)
        id_at += len(layout.text)
    return runs


@lru_cache(maxsize=256)
def _of_layout(layout: Layout) -> tuple[Tensor, Tensor]:
    """For each row after the prefix: whether it is an image row, and its row in the item's image or text block."""
    kinds = [torch.full((stop - start,), kind == IMAGE) for kind, start, stop in layout.segments]
    return torch.cat(kinds), torch.cat([torch.arange(start, stop) for _, start, stop in layout.segments])


def _run_tables(run: Run, images: int, first_row: int, frame_rows: int) -> tuple[Tensor, ...]:
    """Of each row in sequence order: its row in block order, its modality, its position, the source of its values."""
    layout, count = run.layout, len(run.frames)
    image, row = _of_layout(layout)
    item = torch.arange(count)[:, None]
    block = torch.where(
        image,
        run.image_at + item * layout.image_rows + row,
        images + run.text_at + item * len(layout.text) + row,
    )
    per_frame = layout.image_rows // max(1, layout.frames)
    source = torch.where(image, run.frames[:, None] * per_frame - first_row + row, frame_rows + run.id_at + row)
    place = torch.arange(len(layout.prefix), layout.length)
    return block.flatten(), image.repeat(count), place.repeat(count), source.flatten()


def _key_tables(run: Run, block: Tensor, held_at: dict[tuple[int, ...], int]) -> tuple[Tensor, Tensor]:
    """Of each key: its row in the image block, the text block and the prefixes, together, and its position."""
    layout, count = run.layout, len(run.frames)
    held = held_at.get(layout.prefix, 0) + torch.arange(len(layout.prefix))
    rows = torch.cat([held.expand(count, -1), block.view(count, -1)], dim=1)
    return rows.flatten(), torch.arange(layout.length).repeat(count)


def _starts(sizes: Iterable[int]) -> Tensor:
    return torch.tensor([0, *sizes]).cumsum(0)


def _pinned(table: Tensor, device: torch.device) -> Tensor:
    """A copy from pageable memory would wait for the device."""
    return table.pin_memory() if device.type == "cuda" else table


def _to_device(tables: list[Tensor], device: torch.device) -> list[Tensor]:
    """int32 tables as views of one tensor on the device, each aligned to 16 bytes.

    Triton compiles a program again for each combination of pointers with and without this alignment.
    """
    aligned = [pad(table.int(), (0, -len(table) % 4)) for table in tables]
    parts = _pinned(torch.cat(aligned), device).to(device, non_blocking=True).split([len(part) for part in aligned])
    return [part[: len(table)] for part, table in zip(parts, tables, strict=True)]
