"""Calibration: what the tensors of a graph hold on rows, for every method in one reading of the rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from mlpack_edge.converters.quantization.calibration.clipping import CLIPPINGS
from mlpack_edge.converters.quantization.calibration.histogram import Histogram
from mlpack_edge.converters.quantization.calibration.inputs import InputFacts
from mlpack_edge.converters.quantization.calibration.pieces import Feeds, Pieces
from mlpack_edge.converters.quantization.calibration.tapped import Tapped, byte_sizes, grouped, weight_bytes
from mlpack_edge.converters.quantization.calibration.watching import Watch
from mlpack_edge.converters.quantization.values import Method, Range, Ranges
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature

Array = NDArray[Any]
#: Fewer rows than these are warned of.
FEW_ROWS = 100
#: Bytes of tensors that a run should give, and those it may give where one row has more.
PIECE_BYTES, GROUP_BYTES = 1 << 26, 1 << 28
#: Bytes of weights that sessions may hold beside each other; for more, the rows are read again.
WEIGHT_BYTES = 1 << 29
_MOST_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was seen. refused: tensors that have no range, by name, and why (NaN or infinity in a row): whoever needs the
    range says so, for many a mask is infinite and nobody lays a grid over it. complete: whether all rows were read before
    the time was up. channels: (least, largest) by channel, see `Watch`."""

    rows: int
    methods: tuple[Method, ...]
    warnings: tuple[str, ...]
    refused: Mapping[str, str]
    histograms: Mapping[str, Histogram]
    complete: bool = True
    channels: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    _found: dict[Method, Ranges] = field(default_factory=dict, compare=False, repr=False)

    def ranges(self, method: Method) -> Ranges:
        """Ranges by tensor name; each holds 0. Tensors that are constants, empty on all rows, no floats, or refused have
        none. Raises ValueError for a method that `calibrate` was not asked for."""
        if method not in self.methods:
            raise ValueError(f"calibration was asked for {', '.join(self.methods)}, not for {method}")
        if method not in self._found:  # entropy takes some 10 ms a tensor
            self._found[method] = {name: _range(histogram, method) for name, histogram in self.histograms.items()}
        return self._found[method]


def calibrate(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    stream: Iterable[Feeds],
    methods: Sequence[Method],
    on_rows: Callable[[int], None] = lambda rows: None,
    columns: frozenset[str] = frozenset(),
    signature: Signature | None = None,
    place_of: Callable[[int], int] = lambda row: row,
    threads: int = 1,
    clock: Callable[[], float] = time.monotonic,
    until: float = math.inf,
    images: frozenset[str] = frozenset(),
) -> Calibration:
    """Observe `tensors` (inputs and node outputs of the main graph, by name) on the rows of `stream`.

    stream: feeds by input name, batch by batch; read once, but again where the sessions of a large model do not fit beside
    each other (an iterator is read once and they are held). Batches of an open size are cut smaller by bytes. methods:
    extremes are exact for all; histograms are kept where a method needs them. on_rows: is told how many more rows are
    done. columns: tensors whose last axis is kept apart. images: of `tensors`, those `[rows, channels, ...]` of which the
    extremes of each channel are wanted. signature: knows columns and categories, for warnings.
    place_of: which row of the user's file a row of the stream is. until: when, by `clock`, no further piece is begun: the
    first reading ends at its share of that time, the others at the row where it ended; one piece is always read.

    Memory: the weights twice, the tensors of one piece (PIECE_BYTES; GROUP_BYTES where one row has more), 64 KiB a tensor.
    Raises BadInput without rows, CheckFailed where ONNX Runtime refuses the model or stops on the rows, Unsupported where a
    tensor whose last axis is kept apart changes its width.
    """
    watch, facts, pieces = Watch(methods, columns, place_of, images), InputFacts(signature), Pieces(model)
    batches = iter(stream)
    first = next(batches, None)
    if first is None:
        raise BadInput("there are no calibration rows", "give some with --data")
    fed, inner = _told_apart(model, tensors)
    defaults = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer if item.name in fed}
    plan = _plan(model, inner, next(pieces.of(first, 1))[1], batches is not stream, threads)
    progress = _Progress(on_rows, len(plan.passes))
    share = clock() + max(0.0, until - clock()) / max(1, len(plan.passes))
    rows, end = 0, math.inf
    for number, groups in enumerate(plan.passes):
        sessions, rows = [Tapped(model, group, threads=threads) for group in groups], 0
        for piece in _cut(chain([first], batches) if number == 0 else stream, pieces, plan.rows):
            if rows >= end or (number == 0 and rows and clock() >= share):
                end = rows
                break
            held = pieces.rows(piece)
            given = ((name, piece[name] if name in piece else defaults[name]) for name in fed if number == 0)
            for name, values in chain(given, *(session.run(piece, rows) for session in sessions)):
                watch.see(name, values, rows, held)
            if number == 0:
                facts.see(piece, held)
            progress.add(held)
            rows += held
    warnings = [
        *([f"only {rows} calibration rows: ranges of fewer than {FEW_ROWS} are a guess"] if rows < FEW_ROWS else []),
        *facts.warnings(),
    ]
    order = [name for name in dict.fromkeys(tensors) if name in watch.histograms]
    histograms = {name: watch.histograms[name] for name in order}
    return Calibration(
        rows, tuple(methods), tuple(warnings), watch.refused, histograms, end == math.inf, watch.channels
    )


def _cut(batches: Iterable[Feeds], pieces: Pieces, rows: int) -> Iterator[Feeds]:
    for feeds in batches:
        for _, piece in pieces.of(feeds, rows):
            yield piece


@dataclass(frozen=True, slots=True)
class _Plan:
    """passes: readings of the rows, each with groups of tensors that a session gives. rows: of a piece."""

    passes: list[list[list[str]]]
    rows: int


def _plan(model: onnx.ModelProto, tensors: Sequence[str], row: Feeds, again: bool, threads: int) -> _Plan:
    if not tensors:
        return _Plan([[]], _MOST_ROWS)
    probe = Tapped(model, tensors, shapes=True, threads=threads)
    sizes = byte_sizes(probe.run(row, 0))
    groups = grouped(sizes, GROUP_BYTES)
    rows = max(1, min(_MOST_ROWS, PIECE_BYTES // max(sum(sizes.values()), 1)))
    beside = max(1, WEIGHT_BYTES // max(weight_bytes(model), 1)) if again else len(groups)
    return _Plan([groups[start : start + beside] for start in range(0, len(groups), beside)], rows)


def _told_apart(model: onnx.ModelProto, tensors: Sequence[str]) -> tuple[list[str], list[str]]:
    """(tensors that are fed, tensors that nodes give); constants are neither, but an initializer that is an input as well
    is fed: a caller may replace it."""
    fed = {item.name for item in model.graph.input}
    constant = {item.name for item in model.graph.initializer} - fed
    constant |= {name for node in model.graph.node if node.op_type == "Constant" for name in node.output}
    wanted = [name for name in dict.fromkeys(tensors) if name not in constant]
    return [name for name in wanted if name in fed], [name for name in wanted if name not in fed]


class _Progress:
    """Rows done of several readings, as rows of one."""

    def __init__(self, on_rows: Callable[[int], None], readings: int) -> None:
        self._on_rows, self._readings, self._done = on_rows, readings, 0

    def add(self, rows: int) -> None:
        before, self._done = self._done // self._readings, self._done + rows
        if self._done // self._readings > before:
            self._on_rows(self._done // self._readings - before)


def _range(histogram: Histogram, method: Method) -> Range:
    if method == "minmax":
        low, high = np.minimum(histogram.low, 0.0), np.maximum(histogram.high, 0.0)
    else:
        ends = [CLIPPINGS[method](histogram.bins_of(column)) for column in range(len(histogram.low))]
        low, high = (np.array(end, np.float64) for end in zip(*ends, strict=True))
    if histogram.columns is None:
        return Range(low.reshape(()), high.reshape(()))
    return Range(low, high)
