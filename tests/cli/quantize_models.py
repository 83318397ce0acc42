"""Small trained models and their rows, as users of `mlpack quantize` have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.cli.mlpack import mlpack

#: Stops after 40 epochs in any case, and without the warning of max_iter.
_EPOCHS: dict[str, Any] = {"tol": 1e9, "n_iter_no_change": 40}


def make_digits(folder: Path) -> None:
    """digits.skops (a scaler and a net of 64-160-80-10 on images of 8x8), digits.onnx of it; rows.npy without labels, and
    holdout.npz with the truth as `truth`."""
    import skops.io
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    rows, truth = load_digits(return_X_y=True)
    rows = rows.astype(np.float32)
    order = np.random.default_rng(7).permutation(len(rows))
    learned, held = order[:1200], order[1200:]
    net = MLPClassifier((160, 80), **_EPOCHS, random_state=3)
    pipeline = make_pipeline(MinMaxScaler(), net).fit(rows[learned], truth[learned])
    skops.io.dump(pipeline, folder / "digits.skops")
    np.save(folder / "rows.npy", rows[learned])
    np.savez(folder / "holdout.npz", X=rows[held], truth=truth[held])
    done = mlpack("convert", "digits.skops", "-o", "digits.onnx", "--data", "rows.npy", "--rows", "200", cwd=folder)
    assert done.returncode == 0, done.stderr


def make_raw(folder: Path) -> None:
    """raw.onnx: a net on 30 raw columns, whose magnitudes are from 0.001 to 4,000, without a scaler of its own; raw.csv with the
    columns, raw-holdout.csv with the truth beside them."""
    import polars
    from sklearn.datasets import load_breast_cancer
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    rows, truth = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(7).permutation(len(rows))
    learned, held = order[:400], order[400:]
    scaler = StandardScaler().fit(rows[learned])
    net = MLPClassifier((64, 64), **_EPOCHS, random_state=3).fit(scaler.transform(rows[learned]), truth[learned])
    first = net.coefs_[0] / scaler.scale_[:, None]
    layers = [
        (first, net.intercepts_[0] - scaler.mean_ @ first),
        *zip(net.coefs_[1:], net.intercepts_[1:], strict=True),
    ]
    nodes, constants = [], []
    value = "x"
    for place, (weights, bias) in enumerate(layers):
        for name, array in ((f"w{place}", weights), (f"b{place}", bias)):
            constants.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
        last = place == len(layers) - 1
        nodes.append(helper.make_node("Gemm", [value, f"w{place}", f"b{place}"], [f"z{place}"], f"gemm{place}"))
        nodes.append(helper.make_node("Sigmoid" if last else "Relu", [f"z{place}"], ["p" if last else f"h{place}"]))
        value = f"h{place}"
    write_net(folder / "raw.onnx", nodes, constants, ["batch", 30], ["batch", 1], "p")
    names = [f"c{index}" for index in range(30)]
    table = polars.DataFrame(dict(zip(names, rows.T, strict=True)))
    table[learned].write_csv(folder / "raw.csv")
    table.with_columns(truth=polars.Series(truth))[held].write_csv(folder / "raw-holdout.csv")


def make_products(path: Path, random: np.random.Generator) -> None:
    """A net of two products on 24 columns, 64 and 5 wide."""
    constants = [
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in (("v", (24, 64)), ("w", (64, 5)))
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "v"], ["a"], "first"),
        helper.make_node("Relu", ["a"], ["h"], "ramp"),
        helper.make_node("MatMul", ["h", "w"], ["y"], "second"),
    ]
    write_net(path, nodes, constants, ["n", 24], ["n", 5], "y")


def write_net(
    path: Path, nodes: list[Any], constants: list[Any], shape: list[int | str], given: list[int | str], output: str
) -> None:
    """An ONNX file of one float32 input x and one output."""
    info = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes)
        for name, sizes in (("x", shape), (output, given))
    ]
    graph = helper.make_graph(nodes, "net", info[:1], info[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def metadata(path: Path) -> dict[str, Any]:
    """What an ONNX file written by mlpack carries."""
    return {entry.key: json.loads(entry.value) for entry in onnx.load(path).metadata_props}
