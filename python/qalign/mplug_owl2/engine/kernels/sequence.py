"""From blocks by modality to sequence order: rotary positions, prefix keys and values, and the order in one kernel."""

import torch
from torch import Tensor

from ...language import rotate
from .register import define, programs


def _turn(x: Tensor, places: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Rotate x [N, heads, d] by the positions `places` [N] in place; tables [T, d]."""
    x.copy_(rotate(x, cos.index_select(0, places)[:, None], sin.index_select(0, places)[:, None]))


def _reference(
    query: Tensor,
    image: Tensor,
    text: Tensor,
    prefix: Tensor,
    query_rows: Tensor,
    query_places: Tensor,
    key_rows: Tensor,
    key_places: Tensor,
    cos: Tensor,
    sin: Tensor,
    heads: int,
) -> tuple[Tensor, Tensor]:
    keys = torch.cat([image, text, prefix]).index_select(0, key_rows)
    queries = query.index_select(0, query_rows)
    _turn(keys[:, : query.shape[1]].unflatten(1, (heads, -1)), key_places, cos, sin)
    _turn(queries.unflatten(1, (heads, -1)), query_places, cos, sin)
    return queries, keys


# The image [I, 2·D], text [T, 2·D] and prefix [P, 2·D] hold keys, then values, not rotated.
# Rows of query [R, D] are chosen by query_rows, int32 [Q]. Rows of image, text and prefix are chosen by key_rows.
# Positions are in query_places and key_places. The tables cos and sin, fp32 [positions, d], have equal halves.
# Result: rotated queries [Q, D], and rotated keys with their values [K, 2·D].
in_sequence = define(
    "in_sequence(Tensor query, Tensor image, Tensor text, Tensor prefix, Tensor query_rows, Tensor query_places, "
    "Tensor key_rows, Tensor key_places, Tensor cos, Tensor sin, int heads) -> (Tensor, Tensor)",
    _reference,
    lambda query, image, text, prefix, query_rows, query_places, key_rows, key_places, cos, sin, heads: (
        query.new_empty(len(query_rows), query.shape[1]),
        query.new_empty(len(key_rows), 2 * query.shape[1]),
    ),
    lambda *args: programs().in_sequence(*args),
)
