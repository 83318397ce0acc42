"""Graphs cut behind their texts: what is cut, what is not, and that a wrong cut is never used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import helper
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlpack_edge.batch.scoring.coded import Coded, coded, proven
from mlpack_edge.batch.scoring.opened import open_model
from mlpack_edge.batch.scoring.runner import OnnxBlocks
from mlpack_edge.batch.scoring.scorer import Scorer
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.onnx_files.signature import signature_from_onnx
from tests.batch.scoring.models import FLOAT, INT64, STRING, answers, batch_of, frame, graph, save, sklearn_model

ML = "ai.onnx.ml"
TEXT, NUMBER = (STRING, ("batch", 1)), (FLOAT, ("batch", 1))


def encoder(source: str, output: str, keys: list[str], values: list[Any], default: Any = -1) -> Any:
    kinds = {str: ("values_strings", "default_string"), int: ("values_int64s", "default_int64")}
    stored, fallback = kinds[type(values[0])]
    return helper.make_node(
        "LabelEncoder", [source], [output], domain=ML, keys_strings=keys, **{stored: values, fallback: default}
    )


def kept(model: onnx.ModelProto) -> Coded | None:
    """The cut model, seen to give the same bits."""
    cut = coded(model)
    if cut is not None:
        signature = signature_from_onnx(model)
        whole = OnnxBlocks(model.SerializeToString(), [spec.name for spec in signature.inputs])
        assert proven(whole, cut, signature, 64) == ""
    return cut


def test_texts_that_are_replaced_and_joined_first_are_cut_too() -> None:
    model = graph(
        [
            helper.make_node("Equal", ["t", "nothing"], ["gone"]),
            helper.make_node("Where", ["gone", "other", "t"], ["filled"]),
            encoder("filled", "code", ["a", "zz"], [3, 4]),
            helper.make_node("Cast", ["code"], ["y"], to=FLOAT),
        ],
        {"t": TEXT}, {"y": NUMBER}, nothing=np.array([[""]], object), other=np.array([["zz"]], object),
    )  # fmt: skip
    cut = kept(model)
    assert cut is not None
    assert list(cut.tables) == ["t"]
    assert cut.takes == {"codes of t", "table of y"}


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("Equal", ["t", "u"], ["y"])],  # two columns together
        [helper.make_node("Identity", ["t"], ["s"]), helper.make_node("Equal", ["s", "u"], ["y"])],
    ],
)
def test_texts_compared_with_another_column_stay(nodes: list[Any]) -> None:
    model = graph(nodes, {"t": TEXT, "u": TEXT}, {"y": (9, ("batch", 1))})
    assert coded(model) is None


def test_a_text_that_leaves_the_graph_stays() -> None:
    nodes = [encoder("t", "y", ["a"], [1]), helper.make_node("Identity", ["t"], ["s"])]
    assert coded(graph(nodes, {"t": TEXT}, {"y": (INT64, ("batch", 1)), "s": TEXT})) is None


@pytest.mark.parametrize("first", ["t", "u"])
def test_one_column_is_cut_and_the_other_stays(first: str) -> None:
    nodes = [
        encoder(first, "y", ["a"], [1]),
        helper.make_node("Shape", ["u" if first == "t" else "t"], ["z"]),
    ]
    cut = kept(graph(nodes, {"t": TEXT, "u": TEXT}, {"y": (INT64, ("batch", 1)), "z": (INT64, (2,))}))
    assert cut is not None
    assert list(cut.tables) == [first]


def test_rows_that_meet_other_rows_stay() -> None:
    """Reshape that mixes rows, and a comparison with one text a row."""
    nodes = [encoder("t", "c", ["a"], [1]), helper.make_node("Reshape", ["c", "pairs"], ["y"])]
    cut = coded(graph(nodes, {"t": TEXT}, {"y": (INT64, ("half", 2))}, pairs=np.array([-1, 2])))
    assert cut is not None
    assert cut.takes == {"codes of t", "table of c"}  # behind the encoder, before the rows are mixed


def test_what_is_wide_is_looked_up_behind_its_texts() -> None:
    identity = np.eye(3000, dtype=np.float32)
    nodes = [encoder("t", "c", ["a", "b"], [1, 2], 0), helper.make_node("Gather", ["table", "c"], ["g"]),
             helper.make_node("ReduceSum", ["g", "axis"], ["y"], keepdims=0)]  # fmt: skip
    cut = kept(graph(nodes, {"t": TEXT}, {"y": NUMBER}, table=identity, axis=np.array([2])))
    assert cut is not None
    assert cut.takes == {"codes of t", "table of c"}


def test_a_column_that_nothing_reads_needs_no_table(tmp_path: Path) -> None:
    model = graph([encoder("t", "y", ["a"], [1])], {"t": TEXT, "u": TEXT}, {"y": (INT64, ("batch", 1))})
    assert kept(model) is not None
    batch = pa.RecordBatch.from_pydict({"t": pa.array(["a", "b"]), "u": pa.array(["x", "y"])})
    scorer = Scorer(save(tmp_path / "m.onnx", model), batch.schema)
    assert scorer.score(batch, np.ones(2, bool))["y"].to_pylist() == [1, -1]


def test_a_matrix_of_texts_comes_apart_by_column(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["X", "last"], ["l"], axis=1),
        helper.make_node("Gather", ["X", "zero"], ["z"], axis=1),
        encoder("l", "a", ["a", "b"], [1, 2]),
        encoder("z", "b", ["a", "b"], [10, 20]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    model = graph(
        nodes, {"X": (STRING, ("batch", 3))}, {"y": (INT64, ("batch", 1))}, last=np.array([-1]), zero=np.array([0])
    )
    cut = kept(model)
    assert cut is not None
    assert set(cut.tables) == {"X[:, 0]", "X[:, 2]"}
    batch = pa.RecordBatch.from_pydict({"p": pa.array(["a", "b"]), "q": pa.array(["", "?"]), "r": pa.array(["b", "c"])})
    file = save(tmp_path / "m.onnx", model)
    assert Scorer(file, batch.schema).score(batch, np.ones(2, bool))["y"].to_pylist() == [12, 19]
    vectors = pa.RecordBatch.from_pydict({"X": pa.array([["a", "", "b"], ["b", "?", "c"]])})
    assert Scorer(file, vectors.schema).score(vectors, np.ones(2, bool))["y"].to_pylist() == [12, 19]


LABELS: dict[str, Any] = {
    "gather": ([helper.make_node("Gather", ["names", "x"], ["y"])], ["no", "yes", "é"]),
    "handed on": (
        [
            helper.make_node("Gather", ["names", "x"], ["g"]),
            helper.make_node("Reshape", ["g", "flat"], ["r"]),
            helper.make_node("Identity", ["r"], ["y"]),
        ],
        ["no", "yes", "é"],
    ),
    "same names": ([helper.make_node("Gather", ["names", "x"], ["y"])], ["no", "yes", "no"]),
    "encoder": (
        [helper.make_node("LabelEncoder", ["x"], ["y"], domain=ML, keys_int64s=[0, 1], values_strings=["no", "yes"], default_string="é")],
        ["no", "yes", "é"],
    ),
    "extractor": (
        [
            helper.make_node("ArrayFeatureExtractor", ["wide", "x"], ["e"], domain=ML),
            helper.make_node("Reshape", ["e", "flat"], ["y"]),
        ],
        ["no", "yes", "é"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
def test_labels_become_texts_in_arrow(tmp_path: Path, name: str) -> None:
    nodes, names = LABELS[name]
    constants = {"names": np.array(names, object), "wide": np.array([names], object), "flat": np.array([-1])}
    read = {item for node in nodes for item in node.input}
    model = graph(
        nodes, {"x": (INT64, ("batch",))}, {"y": (STRING, ("batch",))},
        **{name: value for name, value in constants.items() if name in read},
    )  # fmt: skip
    batch = pa.RecordBatch.from_pydict({"x": pa.array([2, 0, 1, 1, 0])})
    file = save(tmp_path / "m.onnx", model)
    cut = coded(onnx.load(file.path))
    assert cut is not None
    assert set(cut.classes) == {"y"}
    scorer = Scorer(file, batch.schema)
    made = scorer.score(batch, np.array([True, True, True, False, True]))["y"]
    assert made.to_pylist() == [names[2], names[0], names[1], None, names[0]]
    assert made.type == scorer.output_fields[0].type


def test_string_classes_of_a_classifier_of_the_ml_domain(tmp_path: Path) -> None:
    node = helper.make_node(
        "LinearClassifier", ["x"], ["label", "scores"], domain=ML, coefficients=[1.0, -1.0], intercepts=[0.0, 0.0],
        classlabels_strings=["up", "down"], multi_class=0, post_transform="NONE",
    )  # fmt: skip
    model = graph([node], {"x": NUMBER}, {"label": (STRING, ("batch",)), "scores": (FLOAT, ("batch", 2))})
    batch = pa.RecordBatch.from_pydict({"x": pa.array([1.0, -2.0, 3.0])})
    file = save(tmp_path / "m.onnx", model)
    opened = open_model(file)
    assert opened.cut is not None
    assert opened.cut.classes == {"label": ("up", "down")}
    made = Scorer(file, batch.schema).score(batch, np.ones(3, bool))
    assert made["label"].type == pa.dictionary(pa.int32(), pa.string())
    assert made["label"].to_pylist() == ["up", "down", "up"]


def test_a_label_read_inside_the_graph_stays_a_text(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["names", "x"], ["g"]),
        helper.make_node("Identity", ["g"], ["y"]),
        helper.make_node("Equal", ["g", "one"], ["z"]),
    ]
    model = graph(
        nodes, {"x": (INT64, ("batch",))}, {"y": (STRING, ("batch",)), "z": (9, ("batch",))},
        names=np.array(["no", "yes"], object), one=np.array(["yes"], object),
    )  # fmt: skip
    assert coded(model) is None
    batch = pa.RecordBatch.from_pydict({"x": pa.array([0, 1])})
    scorer = Scorer(save(tmp_path / "m.onnx", model), batch.schema)
    assert scorer.score(batch, np.array([False, True]))["y"].to_pylist() == [None, "yes"]


def test_a_cut_that_gives_other_answers_is_not_proven() -> None:
    nodes = [encoder("t", "c", ["a", "b"], [0, 1], 0), helper.make_node("Gather", ["names", "c"], ["y"])]
    model = graph(nodes, {"t": TEXT}, {"y": TEXT}, names=np.array(["no", "yes"], object))
    signature = Signature((TensorSpec("t", "string", ("batch", 1)),), (TensorSpec("y", "string", ("batch", 1)),))
    whole, cut = OnnxBlocks(model.SerializeToString(), ["t"]), coded(model)
    assert cut is not None
    assert proven(whole, cut, signature, 16) == ""
    wrong = replace(cut, classes={"y": ("yes", "no")})
    assert proven(whole, wrong, signature, 16) == "the output 'y' differs"


def test_concatenations_in_steps_become_one_with_the_same_bits() -> None:
    nodes = [
        encoder("t", "c", ["a"], [1]),
        helper.make_node("Cast", ["c"], ["f"], to=FLOAT),
        helper.make_node("Concat", ["f", "x"], ["one"], axis=1),
        helper.make_node("Concat", ["x", "one"], ["two"], axis=1),
        helper.make_node("Concat", ["one", "two"], ["y"], axis=1),  # `one` is read twice, and stays
    ]
    model = graph(nodes, {"t": TEXT, "x": NUMBER}, {"y": (FLOAT, ("batch", 5))})
    assert kept(model) is not None


def test_a_text_that_a_model_counts_words_of_stays_a_text(tmp_path: Path) -> None:
    rows = frame(400)
    rows["words"] = [f"{c} {d} again" for c, d in zip(rows["c"], rows["d"], strict=True)]
    rows = rows[["words", "c", "a"]]
    model = make_pipeline(
        make_column_transformer(
            (CountVectorizer(), "words"), (OneHotEncoder(handle_unknown="ignore"), ["c"]), (SimpleImputer(), ["a"])
        ),
        LogisticRegression(),
    ).fit(rows, rows["c"] == "x")
    file = sklearn_model(tmp_path / "m.onnx", model, rows)
    scorer = Scorer(file, batch_of(rows).schema)
    opened = open_model(file)
    assert opened.cut is not None
    assert set(opened.cut.tables) == {"c"}
    assert "words" in opened.cut.takes
    assert scorer.dictionary == ("c",)
    batch = batch_of(rows)
    made = scorer.score(batch, np.ones(400, bool))["probabilities"].flatten().to_numpy().reshape(-1, 2)
    assert np.allclose(made, model.predict_proba(rows), atol=1e-6)


def test_missing_categories_as_scikit_learn_has_them(tmp_path: Path) -> None:
    rows = frame(1000)
    rows.loc[::7, "c"] = np.nan
    fill = SimpleImputer(strategy="constant", fill_value="zebra", missing_values=np.nan)
    model = make_pipeline(
        make_column_transformer((make_pipeline(fill, OneHotEncoder(handle_unknown="ignore")), ["c", "d"])),
        LogisticRegression(),
    ).fit(rows[["c", "d"]], answers(rows))
    file = sklearn_model(tmp_path / "m.onnx", model, rows[["c", "d"]])
    batch = batch_of(rows[["c", "d"]])
    scorer = Scorer(file, batch.schema, null_texts=("c",))
    assert not scorer.notes
    made = scorer.score(batch, scorer.check(batch).accepted)
    assert made["label"].to_pylist() == model.predict(rows[["c", "d"]]).tolist()
