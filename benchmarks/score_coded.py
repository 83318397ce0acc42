"""The graph that peers run: texts as codes, all numbers in one input, so that none of them pays for feeding strings.

`NAME-coded.onnx` takes `numbers` float64 `[N, numbers]` and `codes` int64 `[N, texts]`; `NAME-coded.json` says which columns
they are ("numbers", "texts") and which code a text has: its place in "categories"[column], or their count where it is
in none. Outputs are the model's own. This is what anyone would do by hand who feeds the model from Arrow dictionaries.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


def write_coded(model: Path) -> tuple[Path, Path]:
    """Both files beside the model. Raises ValueError where a text input goes elsewhere than to LabelEncoders."""
    files = model.with_name(f"{model.stem}-coded.onnx"), model.with_name(f"{model.stem}-coded.json")
    opened = onnx.load(model)
    graph = opened.graph
    texts = [item.name for item in graph.input if item.type.tensor_type.elem_type == onnx.TensorProto.STRING]
    numbers = [item.name for item in graph.input if item.name not in texts]
    categories: dict[str, list[str]] = {}
    nodes, tables = [], []
    for node in graph.node:
        if not set(node.input) & set(texts):
            nodes.append(node)
        elif node.op_type == "LabelEncoder":
            made, table = _lookup(node, categories)
            nodes.append(made)
            tables.append(table)
        else:
            raise ValueError(f"{node.op_type} {node.name} takes the texts of {list(node.input)}")
    splits = [_split("numbers", numbers), _split("codes", texts)]
    del graph.node[:], graph.input[:]
    graph.node.extend([*splits, *nodes])
    graph.initializer.extend(tables)
    double, integer = onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64
    graph.input.extend([
        helper.make_tensor_value_info("numbers", double, ["batch", len(numbers)]),
        helper.make_tensor_value_info("codes", integer, ["batch", len(texts)]),
    ])  # fmt: skip
    del opened.metadata_props[:]
    onnx.save(opened, files[0])
    outputs = [item.name for item in graph.output]
    meaning = {"numbers": numbers, "texts": texts, "categories": categories, "outputs": outputs}
    files[1].write_text(json.dumps(meaning))
    return files


def _split(source: str, columns: list[str]) -> Any:
    return helper.make_node("Split", [source], columns, name=f"split {source}", axis=1, num_outputs=len(columns))


def _lookup(node: Any, categories: dict[str, list[str]]) -> tuple[Any, Any]:
    """A Gather in place of a LabelEncoder over texts, and its table: the values, then the default."""
    said = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    keys, values, default = (numpy_helper.to_array(said[f"{name}_tensor"]) for name in ("keys", "values", "default"))
    known = [key.decode() if isinstance(key, bytes) else str(key) for key in keys.ravel()]
    if categories.setdefault(node.input[0], known) != known:
        raise ValueError(f"two encoders of {node.input[0]} have other categories")
    table = numpy_helper.from_array(np.concatenate([values.ravel(), default.ravel()]), f"table {node.output[0]}")
    return helper.make_node("Gather", [table.name, node.input[0]], list(node.output), name=node.name), table
