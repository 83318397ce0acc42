"""One real file of every kind, written by the library it belongs to."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from mlpack_edge.runtimes.recognise.kinds import Kind


def write_models(folder: Path) -> dict[str, Kind]:
    """File name -> its kind. The suffixes say nothing on purpose."""
    written: dict[str, Kind] = {}
    for write in (_onnx, _tflite, _sklearn, _boosters, _torch):
        written |= write(folder)
    return written


def tiny_onnx() -> onnx.ModelProto:
    """y = relu(x), x `[batch, 2]`."""
    value = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "tiny", [value[0]], [value[1]])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def _onnx(folder: Path) -> dict[str, Kind]:
    model = tiny_onnx()
    (folder / "onnx.1").write_bytes(model.SerializeToString())
    model.ClearField("ir_version")
    model.graph.ClearField("name")
    (folder / "graph_first.1").write_bytes(model.SerializeToString())
    return {"onnx.1": Kind.ONNX, "graph_first.1": Kind.ONNX}


def tiny_tflite(metadata: dict[str, bytes] | None = None, external: bool = False) -> bytes:
    """y = x + w with a constant w `[2]`; x `[?, 2]`, float32. external: it names a file of weights beside it."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT()
    model.version, model.description = 3, b"tiny"
    code: Any = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    model.operatorCodes = [code]
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.array([1, 2], np.float32).view(np.uint8)
    graph: Any = schema.SubGraphT()
    for name, shape, signature, buffer in ((b"x", [1, 2], [-1, 2], 0), (b"w", [2], [2], 1), (b"y", [1, 2], [-1, 2], 0)):
        tensor: Any = schema.TensorT()
        tensor.name, tensor.shape, tensor.shapeSignature, tensor.buffer = name, shape, signature, buffer
        tensor.type = schema.TensorType.FLOAT32
        graph.tensors = [*(graph.tensors or []), tensor]
    operator: Any = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph.operators, graph.inputs, graph.outputs = [operator], [0], [2]
    model.subgraphs = [graph]
    for key, value in (metadata or {}).items():
        entry: Any = schema.MetadataT()
        entry.name, entry.buffer = key.encode(), len(model.buffers)
        holder: Any = schema.BufferT()
        holder.data = np.frombuffer(value, np.uint8)
        model.buffers.append(holder)
        model.metadata = [*(model.metadata or []), entry]
    if external:
        group: Any = schema.ExternalBufferGroupT()
        group.name = b"/etc/passwd"
        model.externalBufferGroups = [group]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _tflite(folder: Path) -> dict[str, Kind]:
    (folder / "tflite.1").write_bytes(tiny_tflite())
    return {"tflite.1": Kind.TFLITE}


def _sklearn(folder: Path) -> dict[str, Kind]:
    import joblib
    import skops.io
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(0).normal(size=(60, 3))
    model = LogisticRegression().fit(rows, rows[:, 0] > 0)
    skops.io.dump(model, folder / "skops.1")
    written = {"skops.1": Kind.SKOPS}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (folder / f"pickle{protocol}.1").write_bytes(pickle.dumps(model, protocol))
        written[f"pickle{protocol}.1"] = Kind.PICKLE
    # Large enough that bzip2 needs more than the first few kilobytes to give its first byte.
    bulky = {"model": model, "noise": np.random.default_rng(1).normal(size=5000)}
    for method in (None, "zlib", "gzip", "bz2", "lzma", "xz"):
        joblib.dump(bulky, folder / f"joblib-{method}.1", compress=(method, 3) if method else 0)
        written[f"joblib-{method}.1"] = Kind.PICKLE
    (folder / "joblib-lz4.1").write_bytes(_lz4(pickle.dumps(model)))
    written["joblib-lz4.1"] = Kind.PICKLE
    return written


def _lz4(data: bytes) -> bytes:
    """An LZ4 frame of one block of literals (the lz4 package is no requirement)."""
    rest = len(data) - 15
    block = bytes([0xF0]) + b"\xff" * (rest // 255) + bytes([rest % 255]) + data
    return b"\x04\x22\x4d\x18\x60\x70\x73" + len(block).to_bytes(4, "little") + block + b"\0\0\0\0"


def _boosters(folder: Path) -> dict[str, Kind]:
    import catboost
    import lightgbm
    import xgboost

    rows = np.random.default_rng(0).normal(size=(60, 3))
    target = (rows[:, 0] > 0).astype(int)
    boosted = xgboost.XGBClassifier(n_estimators=2).fit(rows, target)
    for suffix in ("json", "ubj"):
        boosted.save_model(folder / f"xgboost.{suffix}")
        (folder / f"xgboost.{suffix}").rename(folder / f"xgboost-{suffix}.1")
    light = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(rows, target).booster_
    light.save_model(folder / "lightgbm.1")
    (folder / "lightgbm-dump.0").write_text(json.dumps(light.dump_model()))
    cat = catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False).fit(rows, target)
    cat.save_model(str(folder / "catboost.1"))
    cat.save_model(str(folder / "catboost-json.0"), format="json")
    return {
        "xgboost-json.1": Kind.XGBOOST_JSON,
        "xgboost-ubj.1": Kind.XGBOOST_UBJ,
        "lightgbm.1": Kind.LIGHTGBM,
        "catboost.1": Kind.CATBOOST,
    }


def _torch(folder: Path) -> dict[str, Kind]:
    import safetensors.torch
    import torch

    net = torch.nn.Linear(3, 2)
    torch.save(net.state_dict(), folder / "checkpoint.1")
    torch.save(net.state_dict(), folder / "checkpoint-legacy.1", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(net.state_dict(), folder / "safetensors.1")
    torch.export.save(torch.export.export(net, (torch.zeros(2, 3),)), folder / "export.pt2")
    (folder / "export.pt2").rename(folder / "export.1")
    return {
        "checkpoint.1": Kind.TORCH_CHECKPOINT,
        "checkpoint-legacy.1": Kind.TORCH_CHECKPOINT,
        "safetensors.1": Kind.SAFETENSORS,
        "export.1": Kind.TORCH_EXPORT,
    }
