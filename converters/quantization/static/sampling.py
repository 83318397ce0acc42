"""What the channels of tensors hold: the values of a few rows, the extremes of all that calibration saw."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from mlpack_edge.converters.quantization.calibration.pieces import Feeds, Pieces
from mlpack_edge.converters.quantization.calibration.tapped import Tapped, byte_sizes, grouped
from mlpack_edge.converters.quantization.static.channels import ChannelFacts
from mlpack_edge.converters.quantization.static.operators import WEIGHTED
from mlpack_edge.converters.quantization.static.rewriting import graph_of
from mlpack_edge.converters.quantization.static.units import units
from mlpack_edge.converters.quantization.static.view import Array, HasModel

#: Rows that are looked at, spread over all; values of each channel that are kept of one.
ROWS, OF_ROW = 32, 64
#: Bytes of the rows, and of the tensors that a session gives for one.
_MOST_BYTES = 1 << 28

Axis = Literal[1, -1]


def channel_facts(
    prepared: HasModel,
    stream: Iterable[Feeds],
    rows: int | None,
    clock: Callable[[], float] = time.monotonic,
    until: float = math.inf,
    extremes: Mapping[str, tuple[Array, Array]] = MappingProxyType({}),
) -> dict[str, ChannelFacts]:
    """Of what convolutions read and give, and of what matrix products read; by tensor name.

    stream: feeds by input name, batch by batch, read once. rows: how many it has, None where nobody knows. Tensors that
    hold NaN or infinity, or change the number of their channels, have none. extremes: `Calibration.channels`, of all rows: a channel may
    be silent on the few that are looked at. Where a tensor has none there, its channels are unbounded. The same rows give the same facts. until: when, by
    `clock`, no further row is begun: reading them ends at half of that time, the first session at its share of the rest, the
    others at the row where it ended; one row is always looked at. Raises CheckFailed where ONNX Runtime refuses the model or stops on the rows.
    """
    axes = _axes(prepared)
    held = list(_some(prepared, stream, rows, clock, clock() + max(0.0, until - clock()) / 2))
    if not axes or not held:
        return {}
    model = prepared.model
    fed = {value.name for value in model.graph.input}
    watch = _Watch(axes)
    inner = [name for name in axes if name not in fed]
    for name in axes:
        if name in fed:
            for feeds in held:
                watch.see(name, feeds[name])
    sizes = byte_sizes(Tapped(model, inner, shapes=True).run(held[0], 0)) if inner else {}
    groups = grouped(sizes, _MOST_BYTES)
    share = clock() + max(0.0, until - clock()) / max(1, len(groups))
    for number, group in enumerate(groups):
        session = Tapped(model, group)
        for place, feeds in enumerate(held):
            if number == 0 and place and clock() >= share:
                held = held[:place]
                break
            for name, values in session.run(feeds, place):
                watch.see(name, values)
    return watch.facts(extremes)


def images_of(prepared: HasModel) -> frozenset[str]:
    """The tensors `[rows, channels, ...]` of which `channel_facts` wants the extremes of each channel."""
    return frozenset(name for name, axis in _axes(prepared).items() if axis == 1)


def _axes(prepared: HasModel) -> dict[str, Axis]:
    """The tensors to look at, and the axis of their channels. A tensor that is read along both is looked at along the first."""
    view = graph_of(prepared)
    found: dict[str, Axis] = {}
    for unit in units(view).values():
        if unit.kind not in WEIGHTED or unit.weights is None:
            continue
        image = unit.weights.content.ndim > 2
        for name in (unit.reads[0], unit.output) if image else unit.reads[:1]:
            found.setdefault(view.same.get(name, name), 1 if image else -1)
    return found


def _some(
    prepared: HasModel, stream: Iterable[Feeds], rows: int | None, clock: Callable[[], float], until: float
) -> Iterator[Feeds]:
    """Single rows, evenly apart as far as it is known how many there are and time allows to read them all; at least one."""
    pieces = Pieces(prepared.model)
    step = max(1, (rows or 0) // ROWS)
    taken = room = at = 0
    for feeds in stream:
        for _, row in pieces.of(feeds, 1):
            if taken and clock() >= until:
                return
            if at % step == 0:
                size = sum(int(np.asarray(array).nbytes) for array in row.values())
                room += size
                if taken == ROWS or (taken and room > _MOST_BYTES):
                    return
                taken += 1
                yield {name: np.array(array) for name, array in row.items()}
            at += pieces.rows(row)


class _Watch:
    def __init__(self, axes: Mapping[str, Axis]) -> None:
        self._axes = axes
        self._seen: dict[str, list[Array]] = {name: [] for name in axes}
        self._random = np.random.default_rng(0)

    def see(self, name: str, values: Any) -> None:
        if name not in self._seen or not isinstance(values, np.ndarray) or values.ndim < 2 or not values.size:
            return
        rows = np.moveaxis(values, self._axes[name], 0).reshape(values.shape[self._axes[name]], -1)
        before = self._seen[name]
        if not np.isfinite(rows).all() or (before and len(before[0]) != len(rows)):
            del self._seen[name]
            return
        some = self._random.integers(0, rows.shape[1], OF_ROW) if rows.shape[1] > OF_ROW else slice(None)
        before.append(rows[:, some].astype(np.float32))

    def facts(self, extremes: Mapping[str, tuple[Array, Array]]) -> dict[str, ChannelFacts]:
        found = {}
        for name, seen in self._seen.items():
            if not seen:
                continue
            low, high = extremes.get(name, (np.array([-np.inf]), np.array([np.inf])))
            shape = seen[0].shape[:1]
            found[name] = ChannelFacts(
                np.broadcast_to(low, shape),
                np.broadcast_to(high, shape),
                np.concatenate(seen, axis=1),
                self._axes[name],
            )
        return found
