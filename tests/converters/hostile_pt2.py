"""Exported programs (.pt2) that have been tampered with: each would run `code`, or try to, when PyTorch opens it."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Members = dict[str, bytes]
MODEL = "models/model.json"


class Runs:
    """Unpickling this evaluates `code`."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (self.code,)


def members_of(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {info.filename.partition("/")[2]: archive.read(info) for info in archive.infolist()}


def write(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(f"archive/{name}", data)
    return path


def torch_pickle(code: str) -> bytes:
    """What torch.save would write for an object that runs code."""
    import torch

    stream = io.BytesIO()
    torch.save((Runs(code),), stream)
    return stream.getvalue()


def _edit(members: Members, change: Callable[[Any], None], name: str = MODEL) -> Members:
    record = json.loads(members[name])
    change(record)
    return {**members, name: json.dumps(record).encode()}


def sample_inputs(members: Members, code: str) -> Members:
    return {**members, "data/sample_inputs/model.pt": torch_pickle(code)}


def raw_sample_inputs(members: Members, code: str) -> Members:
    return {**members, "data/sample_inputs/model.pt": pickle.dumps(Runs(code), 2)}


def pickled_weight(members: Members, code: str) -> Members:
    def change(record: Any) -> None:
        next(iter(record["config"].values()))["use_pickle"] = True

    members = _edit(members, change, "data/weights/model_weights_config.json")
    return {**members, "data/weights/weight_0": torch_pickle(code)}


def legacy_weights(members: Members, code: str) -> Members:
    return {**members, "data/weights/model.pt": torch_pickle(code)}


def legacy_constants(members: Members, code: str) -> Members:
    return {**members, "data/constants/model.pt": torch_pickle(code)}


def opaque_constant(members: Members, code: str) -> Members:
    def change(record: Any) -> None:
        record["config"]["thing"] = {
            "path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None,
        }  # fmt: skip

    members = _edit(members, change, "data/constants/model_constants_config.json")
    return {**members, "data/constants/opaque_obj_0": pickle.dumps(Runs(code))}


def size_expression(members: Members, code: str) -> Members:
    def change(record: Any) -> None:
        values = record["graph_module"]["graph"]["tensor_values"]
        next(iter(values.values()))["sizes"][0] = {"as_expr": {"expr_str": code, "hint": {"as_int": 3}}}

    return _edit(members, change)


def nested_expression(members: Members, code: str) -> Members:
    """A text that stands one dict deeper than where texts are judged."""

    def change(record: Any) -> None:
        values = record["graph_module"]["graph"]["tensor_values"]
        inner = {"as_string": code}
        next(iter(values.values()))["sizes"][0] = {"as_expr": {"expr_str": inner, "hint": {"as_int": 3}}}

    return _edit(members, change)


def guard(members: Members, code: str) -> Members:
    return _edit(members, lambda record: record["guards_code"].append(code))


def operator(members: Members, code: str) -> Members:
    del code

    def change(record: Any) -> None:
        record["graph_module"]["graph"]["nodes"][0]["target"] = "torch.os.system"

    return _edit(members, change)


def node_name(members: Members, code: str) -> Members:
    """A name that ends a line of the Python source that torch writes and executes."""
    text = members[MODEL].decode()
    old = json.loads(text)["graph_module"]["graph"]["nodes"][0]["outputs"][0]["as_tensor"]["name"]
    return {**members, MODEL: text.replace(json.dumps(old), json.dumps(f"a = {code}\n    {old}")).encode()}


def argument_name(members: Members, code: str) -> Members:
    def change(record: Any) -> None:
        record["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [f"x={code}"]

    return _edit(members, change)


def structure(members: Members, code: str) -> Members:
    """A defaultdict of the results, whose factory torch imports by name."""
    del code

    def change(record: Any) -> None:
        signature = record["graph_module"]["module_call_graph"][0]["signature"]
        context = {"default_factory_module": "antigravity", "default_factory_name": "x", "dict_context": []}
        signature["out_spec"] = json.dumps(
            [1, {"type": "collections.defaultdict", "context": json.dumps(context), "children_spec": []}]
        )

    return _edit(members, change)


def native_code(members: Members, code: str) -> Members:
    return {**members, "data/aotinductor/model/a.so": b"\x7fELF" + code.encode()}


def reads_files(members: Members, code: str) -> Members:
    del code

    def change(record: Any) -> None:
        record["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.from_file.default"

    return _edit(members, change)


ATTACKS: dict[str, Callable[[Members, str], Members]] = {
    made.__name__: made
    for made in (
        sample_inputs, raw_sample_inputs, pickled_weight, legacy_weights, legacy_constants, opaque_constant,
        size_expression, nested_expression, guard, operator, node_name, argument_name, structure, native_code, reads_files,
    )
}  # fmt: skip
#: Those that PyTorch 2.13 runs even where TORCH_FORCE_WEIGHTS_ONLY_LOAD=1 is set.
UNSTOPPED = (opaque_constant, size_expression, guard)
