"""The graph that peers run: the one that `mlpack score` cuts, so that none of them pays for strings inside the model.

`NAME-coded.onnx` takes `numbers` float64 `[N, numbers]` and `codes` int64 `[N, texts]`; `NAME-coded.json` says which columns
they are ("numbers", "texts") and which code a text has: its place in "categories"[column], or their count where it is
in none. Outputs are the model's own. `recorded` gives the calls that `mlpack score` itself makes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow
from onnx import helper, numpy_helper

from mlpack_edge.batch.models import model_file
from mlpack_edge.batch.scoring.coded_inputs import codes_name, table_name
from mlpack_edge.batch.scoring.opened import open_model
from mlpack_edge.batch.scoring.runner import OnnxBlocks
from mlpack_edge.batch.scoring.scorer import Scorer

UNKNOWN = "a text that is in no category"


def write_coded(model: Path) -> tuple[Path, Path]:
    """Both files beside the model. Raises ValueError where `mlpack score` does not cut its texts off."""
    files = model.with_name(f"{model.stem}-coded.onnx"), model.with_name(f"{model.stem}-coded.json")
    opened, graphs = _opened(model)
    cut = opened.cut
    if cut is None:
        raise ValueError(f"{model}: {opened.notes or 'no texts'}")
    texts = list(cut.tables)
    numbers = [column.name for column in opened.signature.columns if column.name not in texts]
    categories = {column.name: list(column.categories) for column in opened.signature.columns if column.name in texts}
    made = onnx.load_from_string(graphs[id(cut.runner)])
    graph = made.graph
    squeezed, axis = [], numpy_helper.from_array(np.array([1], np.int64), "axis of codes")
    for name in texts:
        tensors, table = cut.tables[name]
        places, arrays = table.look_up(pyarrow.array([*categories[name], UNKNOWN]))
        for tensor, array in zip(tensors, arrays, strict=True):
            graph.initializer.append(numpy_helper.from_array(array[places], table_name(tensor)))
        squeezed.append(helper.make_node("Squeeze", [name, axis.name], [codes_name(name)], name=f"squeeze {name}"))
    nodes = [_split("numbers", numbers), _split("codes", texts), *squeezed, *graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.initializer.append(axis)
    double, integer = onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64
    graph.input.append(helper.make_tensor_value_info("numbers", double, ["batch", len(numbers)]))
    graph.input.append(helper.make_tensor_value_info("codes", integer, ["batch", len(texts)]))
    del made.metadata_props[:]
    onnx.save(made, files[0])
    outputs = [item.name for item in graph.output]
    meaning = {"numbers": numbers, "texts": texts, "categories": categories, "outputs": outputs}
    files[1].write_text(json.dumps(meaning))
    return files


def _split(source: str, columns: list[str]) -> Any:
    return helper.make_node("Split", [source], columns, name=f"split {source}", axis=1, num_outputs=len(columns))


def _opened(model: Path) -> tuple[Any, dict[int, bytes]]:
    """The opened model, and the graphs of its sessions by the id of their runner."""
    graphs: dict[int, bytes] = {}
    begin = OnnxBlocks.__init__

    def noted(self: OnnxBlocks, graph: bytes | Path, inputs: Any) -> None:
        begin(self, graph, inputs)
        graphs[id(self)] = graph if isinstance(graph, bytes) else graph.read_bytes()

    OnnxBlocks.__init__ = noted  # type: ignore[method-assign]
    try:
        return open_model(model_file(str(model))), graphs
    finally:
        OnnxBlocks.__init__ = begin  # type: ignore[method-assign]


def recorded(model: Path, batch: pyarrow.RecordBatch) -> list[Callable[[], Any]]:
    """The calls of ONNX Runtime that `mlpack score` makes for the rows of a batch, to be made again: a block each."""
    scorer = Scorer(model_file(str(model)), batch.schema)
    calls: list[Callable[[], Any]] = []
    run = OnnxBlocks.run

    def noted(self: OnnxBlocks, feeds: Any) -> Any:
        kept = {name: array.copy() for name, array in feeds.items()}
        calls.append(lambda: run(self, kept))
        return run(self, feeds)

    OnnxBlocks.run = noted  # type: ignore[method-assign]
    try:
        scorer.score(batch, np.ones(batch.num_rows, bool))
    finally:
        OnnxBlocks.run = run  # type: ignore[method-assign]
    return calls
