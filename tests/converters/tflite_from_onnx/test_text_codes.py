"""Text at the borders of a TFLite model: inputs are codes of their columns' categories, labels places in the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.converters.tflite_from_onnx.convert import Lowered, tflite_from_onnx
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import Column, Signature, TensorSpec
from mlpack_edge.runtimes.litert.runner import LitertOptions, LitertRunner
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.tflite_from_onnx.lowered import run_tflite
from tests.converters.tflite_from_onnx.test_trees import ml_model

Array = NDArray[Any]
COLOURS = np.array(["red", "green", "blue", ""], object)


def frame(seed: int = 0, count: int = 300) -> tuple[Array, Array, Array]:
    """(texts [n, 2], numbers [n, 2], labels)."""
    random = np.random.default_rng(seed)
    texts = random.choice(COLOURS, (count, 2))
    numbers = random.normal(1000, 3, (count, 2)).astype(np.float32)
    labels = np.array(["no", "yes"], object)[((texts[:, 0] == "red") ^ (numbers[:, 0] > 1000)).astype(int)]
    return texts, numbers, labels


def signature() -> Signature:
    columns = tuple(
        Column(f"{name}{place}", kind, name, place, missing=name == "t")
        for name, kind in (("t", "categorical"), ("n", "numeric"))
        for place in range(2)
    )
    return Signature((TensorSpec("t", "string", ("batch", 2)), TensorSpec("n", "float32", ("batch", 2))), (), columns)


def converted(encoder: Any, model: Any) -> tuple[onnx.ModelProto, Lowered]:
    import pandas as pd

    texts, numbers, labels = frame()
    table = pd.DataFrame({"t0": texts[:, 0], "t1": texts[:, 1], "n0": numbers[:, 0], "n1": numbers[:, 1]})
    both = ColumnTransformer([("text", encoder, ["t0", "t1"]), ("number", StandardScaler(), ["n0", "n1"])])
    fitted = make_pipeline(both, model).fit(table, labels)
    built = onnx_from_sklearn(fitted, signature())
    return built.model, tflite_from_onnx(built.model, built.signature)


@pytest.mark.parametrize(
    ("encoder", "model"),
    [
        (OneHotEncoder(handle_unknown="ignore"), LogisticRegression()),
        (OneHotEncoder(handle_unknown="ignore"), DecisionTreeClassifier(random_state=0)),
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), DecisionTreeClassifier(random_state=0)),
        (
            make_pipeline(
                SimpleImputer(missing_values="", strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
            ),
            LogisticRegression(),
        ),
    ],
    ids=["one-hot", "one-hot tree", "ordinal tree", "imputed"],
)
def test_the_same_texts_give_the_same_labels(encoder: Any, model: Any) -> None:
    """Known, unknown and missing texts, fed as text through the runner, in batches of any size."""
    source, lowered = converted(encoder, model)
    assert lowered.signature.input("t").dtype == "int32"
    texts, numbers, _ = frame(1)
    texts[:40, 0] = "violet"
    texts[30:60, 1] = ""
    runner = LitertRunner(lowered.data, lowered.signature, options=LitertOptions(decode=True))
    for count in (len(texts), 1, 7):
        feeds = {"t": texts[:count], "n": numbers[:count]}
        wanted, made = run(open_session(source.SerializeToString()), feeds), runner.run(feeds)
        np.testing.assert_array_equal(made["label"], wanted["label"])
        np.testing.assert_allclose(made["probabilities"], wanted["probabilities"], atol=1e-5)


def test_the_signature_holds_the_code_table_and_a_note_tells_of_it() -> None:
    _, lowered = converted(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    column = lowered.signature.columns[0]
    assert set(column.categories) == {"red", "green", "blue"}
    codes = np.array([[column.categories.index("red"), -1], [-2, -2]], np.int32)
    made = run_tflite(lowered.data, {"t": codes, "n": np.full((2, 2), 1000, np.float32)})
    assert made["label"].dtype == np.int64
    assert lowered.signature.classes == ("no", "yes")
    assert any("int32 codes" in note for note in lowered.notes)


def test_operators_that_look_into_texts_are_refused_by_name() -> None:
    node = helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="LOWER")
    model = ml_model([node], "string", 1, {"y": ("string", ("batch", 1))})
    with pytest.raises(Unsupported, match="StringNormalizer"):
        tflite_from_onnx(
            model, Signature((TensorSpec("x", "string", ("batch", 1)),), (TensorSpec("y", "string", ("batch", 1)),))
        )


def test_text_that_is_no_label_is_refused() -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    model = ml_model([node], "string", 1, {"y": ("string", ("batch", 1))})
    with pytest.raises(Unsupported, match="no class label"):
        tflite_from_onnx(
            model, Signature((TensorSpec("x", "string", ("batch", 1)),), (TensorSpec("y", "string", ("batch", 1)),))
        )


@pytest.mark.parametrize("default", [{"default_string": "none"}, {}])
def test_a_label_encoder_from_text_to_numbers_and_back(default: dict[str, str]) -> None:
    """Without categories in the signature the table is what the graph compares with; the default is a class as well."""
    nodes = [
        helper.make_node(
            "LabelEncoder", ["x"], ["k"], domain="ai.onnx.ml", keys_strings=["a", "b"], values_int64s=[7, 9]
        ),
        helper.make_node(
            "LabelEncoder", ["k"], ["y"], domain="ai.onnx.ml",
            keys_int64s=[9, 7], values_strings=["nine", "seven"], **default,
        ),
    ]  # fmt: skip
    model = ml_model(nodes, "string", 1, {"y": ("string", ("batch", 1))}, ml=4)
    given = Signature((TensorSpec("x", "string", ("batch", 1)),), (TensorSpec("y", "string", ("batch", 1)),))
    lowered = tflite_from_onnx(model, given)
    texts = np.array([["b"], ["a"], ["zebra"], [""]], object)
    runner = LitertRunner(lowered.data, lowered.signature, options=LitertOptions(decode=True))
    wanted = run(open_session(model.SerializeToString()), {"x": texts})
    np.testing.assert_array_equal(runner.run({"x": texts})["y"], wanted["y"])
