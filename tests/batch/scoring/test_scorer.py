"""Scores: the runtime's own bits on the same blocks, whatever is read together or rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from onnx import helper
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.batch.scoring.scorer import Scorer, check_columns
from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.signature import Column, Signature, TensorSpec
from mlpack_edge.runtimes.onnxruntime import open_session
from tests.batch.scoring.models import (
    DOUBLE,
    FLOAT,
    INT64,
    STRING,
    answers,
    batch_of,
    echo,
    frame,
    graph,
    model_file,
    save,
    sklearn_model,
)  # fmt: skip

Array = Any
ONE_HOT = OneHotEncoder(handle_unknown="ignore")
ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
NUMBERS = make_pipeline(SimpleImputer(), StandardScaler())
PIPELINES: dict[str, Any] = {
    "linear": lambda: make_pipeline(
        make_column_transformer((NUMBERS, ["a", "b"]), (ONE_HOT, ["c", "d"])), LogisticRegression()
    ),
    "forest": lambda: make_pipeline(
        make_column_transformer((SimpleImputer(), ["a", "b"]), (ONE_HOT, ["c", "d"])),
        RandomForestClassifier(5, max_depth=4, random_state=0),
    ),
    "boosted": lambda: make_pipeline(
        make_column_transformer(("passthrough", ["a", "b"]), (ORDINAL, ["c", "d"])),
        HistGradientBoostingClassifier(max_iter=10),
    ),
    "ridge": lambda: make_pipeline(make_column_transformer((NUMBERS, ["a", "b"]), (ONE_HOT, ["c", "d"])), Ridge()),
}


@pytest.fixture(scope="module", params=PIPELINES)
def pipeline(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    rows = frame()
    labels = rows["a"] if request.param == "ridge" else answers(rows)
    fitted = PIPELINES[request.param]().fit(rows, labels)
    return sklearn_model(tmp_path_factory.mktemp("models") / f"{request.param}.onnx", fitted, rows)


def unseen(rows: int = 9000) -> Any:
    made = frame(rows, seed=1)
    made.loc[::50, "c"] = "unknown"
    made.loc[::70, "d"] = None
    return made


def scores(scorer: Scorer, batch: pa.RecordBatch, accepted: Any = None, read: int = 1 << 20) -> pa.Table:
    accepted = np.ones(batch.num_rows, bool) if accepted is None else accepted
    parts = []
    for start in range(0, batch.num_rows, read):
        made = scorer.score(batch.slice(start, read), accepted[start : start + read])
        parts.append(
            pa.Table.from_arrays(
                [made[field.name] for field in scorer.output_fields], schema=pa.schema(list(scorer.output_fields))
            )
        )
    return pa.concat_tables(parts).combine_chunks()


def same_bits(column: pa.ChunkedArray, array: Any) -> bool:
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        return bool(column.to_pylist() == array.ravel().tolist())
    flat = column.combine_chunks()
    flat = flat.flatten() if pa.types.is_fixed_size_list(column.type) else flat
    return bool(flat.to_numpy(zero_copy_only=False).tobytes() == np.ascontiguousarray(array).tobytes())


def test_scores_are_onnx_runtimes_own_on_the_same_blocks(pipeline: ModelFile) -> None:
    rows = unseen()
    scorer = Scorer(pipeline, batch_of(rows).schema)
    assert scorer.dictionary == ("c", "d")
    session = open_session(Path(pipeline.path))
    expected: dict[str, list[Any]] = {value.name: [] for value in session.get_outputs()}
    for start in range(0, len(rows), scorer.block_rows):
        part = rows[start : start + scorer.block_rows]
        feeds = {name: part[name].fillna("").to_numpy(object).reshape(-1, 1) for name in "cd"}
        feeds |= {name: part[name].to_numpy().reshape(-1, 1) for name in "ab"}
        for value, made in zip(session.get_outputs(), session.run(None, feeds), strict=True):
            expected[value.name].append(made)
    for coded in (False, True):
        made = scores(scorer, batch_of(rows, coded))
        for name, parts in expected.items():
            assert same_bits(made[name], np.concatenate(parts)), name


def test_scores_do_not_depend_on_reads_sessions_or_rejected_rows(pipeline: ModelFile) -> None:
    batch = batch_of(unseen())
    first, second = Scorer(pipeline, batch.schema), Scorer(pipeline, batch.schema)
    whole = scores(first, batch)
    assert scores(second, batch, read=4096).equals(whole)
    rng = np.random.default_rng(3)
    for share in (0.001, 0.5, 0.9995):
        accepted = rng.random(batch.num_rows) >= share
        made = scores(first, batch, accepted)
        assert made.filter(pa.array(accepted)).equals(whole.filter(pa.array(accepted)))
        assert all(column.null_count == (~accepted).sum() for column in made.columns)


def test_no_row_and_one_row(pipeline: ModelFile) -> None:
    batch = batch_of(unseen(5))
    scorer = Scorer(pipeline, batch.schema)
    assert scores(scorer, batch.slice(0, 1)).num_rows == 1
    none = scorer.score(batch.slice(0, 0), np.zeros(0, bool))
    assert [(name, array.type) for name, array in none.items()] == [(f.name, f.type) for f in scorer.output_fields]
    assert scorer.check(batch.slice(0, 0)).codes.shape == (0,)


def test_check_columns_says_what_is_read_and_runs_nothing(pipeline: ModelFile) -> None:
    schema = batch_of(frame(2)).schema.append(pa.field("more", pa.date32()))
    assert sorted(check_columns(pipeline, schema)) == ["a", "b", "c", "d"]
    with pytest.raises(BadInput, match="'c'"):
        check_columns(pipeline, schema.remove(schema.get_field_index("c")))


def test_a_challengers_outputs_have_its_prefix(pipeline: ModelFile) -> None:
    made = Scorer(model_file(Path(pipeline.path), "challenger_"), batch_of(frame(2)).schema)
    assert all(field.name.startswith("challenger_") for field in made.output_fields)


def test_default_rules_reject_what_the_model_does_not_take(tmp_path: Path) -> None:
    columns = (Column("n", "numeric", "n"), Column("m", "numeric", "m", missing=True), Column("t", "text", "t"))
    specs = (
        TensorSpec("n", "float32", ("batch", 1)),
        TensorSpec("m", "int32", ("batch", 1)),
        TensorSpec("t", "string", ("batch", 1)),
    )
    model = graph(
        [helper.make_node("Identity", [name], [name.upper()]) for name in "nmt"],
        {"n": (FLOAT, ("batch", 1)), "m": (6, ("batch", 1)), "t": (STRING, ("batch", 1))},
        {"N": (FLOAT, ("batch", 1)), "M": (6, ("batch", 1)), "T": (STRING, ("batch", 1))},
    )
    outputs = (
        TensorSpec("N", "float32", ("batch", 1)),
        TensorSpec("M", "int32", ("batch", 1)),
        TensorSpec("T", "string", ("batch", 1)),
    )
    file = save(tmp_path / "m.onnx", model, Signature(specs, outputs, columns))
    batch = pa.RecordBatch.from_pydict({
        "n": pa.array([1.0, None, np.nan, np.inf, 1e300, 2.0, 3.0, 4.0]),
        "m": pa.array([1, 2, 3, 4, 5, None, 2**40, 6]),
        "t": pa.array(["a", "", "c", "d", "e", "f", "g", None]),
    })  # fmt: skip
    scorer = Scorer(file, batch.schema)
    findings = scorer.check(batch)
    said = [
        (findings.kinds[code - 1].rule, findings.kinds[code - 1].column) if code else None for code in findings.codes
    ]
    assert said == [
        None, ("missing", "n"), ("missing", "n"), ("infinity", "n"), ("infinity", "n"), ("missing", "m"),
        ("inexact", "m"), ("missing", "t"),
    ]  # fmt: skip
    made = scorer.score(batch, findings.accepted)
    assert {name: array.to_pylist() for name, array in made.items()} == {
        "N": [1.0] + [None] * 7, "M": [1] + [None] * 7, "T": ["a"] + [None] * 7,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["plain", "dictionary", "null in the dictionary"])
def test_null_text_is_the_missing_text_where_the_model_takes_it_and_somebody_said_so(tmp_path: Path, form: str) -> None:
    model, signature = echo(STRING, columns=(Column("t", "text", "x", missing=True),))
    column = pa.array(["a", None])
    if form != "plain":
        column = column.dictionary_encode("encode" if form == "null in the dictionary" else "mask")
    batch = pa.RecordBatch.from_pydict({"t": column})
    file = save(tmp_path / "m.onnx", model, signature)
    silent = Scorer(file, batch.schema).check(batch)
    assert silent.accepted.tolist() == [True, False]
    assert [(kind.rule, kind.column) for kind in silent.kinds] == [("null", "t")]
    scorer = Scorer(file, batch.schema, null_texts=("t",))
    assert not scorer.check(batch).kinds
    assert scorer.score(batch, np.ones(2, bool))["y"].to_pylist() == ["a", ""]


@pytest.mark.parametrize("shape", [("batch",), ("batch", 1), ("batch", 3)])
def test_a_score_that_is_not_finite_is_found(tmp_path: Path, shape: tuple[Any, ...]) -> None:
    model = graph([helper.make_node("Log", ["x"], ["y"])], {"x": (DOUBLE, shape)}, {"y": (DOUBLE, shape)})
    file = save(tmp_path / "m.onnx", model)
    width = 1 if shape[1:] in ((), (1,)) else 3
    values = pa.array([1.0, 0.0, -1.0, 0.0, 5.0])
    batch = pa.RecordBatch.from_pydict({"x": values} if width == 1 else dict.fromkeys("pqr", values))
    scorer = Scorer(file, batch.schema)
    accepted = np.array([True, True, True, False, True])
    made = scorer.score(batch, accepted)
    findings = scorer.check_outputs(made, accepted)
    assert findings.codes.tolist() == [0, 1, 1, 0, 0]
    assert (findings.kinds[0].column, findings.kinds[0].reason) == ("y", "score is not finite")


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 23])
def test_a_fixed_batch_is_filled_up(tmp_path: Path, rows: int) -> None:
    model, signature = echo(FLOAT, (8, 2))
    batch = pa.RecordBatch.from_pydict({"p": np.arange(rows, dtype=np.float32), "q": np.ones(rows, np.float32)})
    scorer = Scorer(save(tmp_path / "m.onnx", model, signature), batch.schema)
    assert scorer.block_rows == 8
    accepted = np.arange(rows) % 3 != 1
    expected = [[float(row), 1.0] if row % 3 != 1 else None for row in range(rows)]
    assert scorer.score(batch, accepted)["y"].to_pylist() == expected


def test_vectors_feed_inputs_of_any_rank_and_wrong_ones_are_rejected(tmp_path: Path) -> None:
    model, signature = echo(FLOAT, ("batch", 2, 2))
    file = save(tmp_path / "m.onnx", model, signature)
    values = [[1, 2, 3, 4], None, [1, 2, 3], [5, 6, 7, 8], [1, None, 3, 4], []]
    flat = pa.RecordBatch.from_pydict({"x": pa.array(values, pa.list_(pa.float64()))})
    nested = [None if v is None else [v[:2], v[2:]] for v in values]
    deep = pa.RecordBatch.from_pydict({"x": pa.array(nested, pa.list_(pa.list_(pa.int16())))})
    for batch in (flat, deep):
        scorer = Scorer(file, batch.schema)
        findings = scorer.check(batch)
        said = [findings.kinds[code - 1].rule if code else "" for code in findings.codes]
        assert said == ["", "missing", "size", "", "missing", "size"]
        made = scorer.score(batch, findings.accepted)["y"]
        assert made.type == pa.list_(pa.float32(), 4)
        assert made.to_pylist() == [[1, 2, 3, 4], None, None, [5, 6, 7, 8], None, None]


def test_images_in_lists_of_fixed_size(tmp_path: Path) -> None:
    model, signature = echo(FLOAT, ("batch", 3, 32, 32))
    images = np.random.default_rng(0).normal(size=(300, 3072)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(images.ravel()), 3072)
    batch = pa.RecordBatch.from_pydict({"x": column})
    scorer = Scorer(save(tmp_path / "m.onnx", model, signature), batch.schema)
    made = scorer.score(batch.slice(40), np.ones(260, bool))["y"]
    assert np.array_equal(made.flatten().to_numpy().reshape(260, 3072), images[40:])


def test_two_thousand_columns_with_odd_names(tmp_path: Path) -> None:
    names = [f"é {place}.\t'" for place in range(2000)]
    columns = tuple(Column(name, "numeric", "x", place) for place, name in enumerate(names))
    model, signature = echo(FLOAT, ("batch", 2000), columns)
    batch = pa.RecordBatch.from_pydict(
        {name: pa.array([place, place + 1]) for place, name in reversed(list(enumerate(names)))}
    )
    scorer = Scorer(save(tmp_path / "m.onnx", model, signature), batch.schema)
    assert scorer.score(batch, scorer.check(batch).accepted)["y"].to_pylist()[1] == [float(p + 1) for p in range(2000)]


def test_a_model_that_stops_says_so(tmp_path: Path) -> None:
    model = graph(
        [helper.make_node("Gather", ["table", "x"], ["y"])], {"x": (INT64, ("batch",))}, {"y": (FLOAT, ("batch",))},
        table=np.arange(4, dtype=np.float32),
    )  # fmt: skip
    batch = pa.RecordBatch.from_pydict({"x": pa.array([0, 9, 3])})
    scorer = Scorer(save(tmp_path / "m.onnx", model), batch.schema)
    with pytest.raises(CheckFailed, match="stopped on a block") as caught:
        scorer.score(batch, np.ones(3, bool))
    assert "9" in caught.value.why
    assert scorer.score(batch, np.array([True, False, True]))["y"].to_pylist() == [0, None, 3]


@pytest.mark.parametrize(
    ("nodes", "shape", "message"),
    [
        ([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], (), r"output 'y' has the shape \[\] for 3 rows"),
        ([helper.make_node("Transpose", ["x"], ["y"])], (2, "batch"), r"output 'y' has the shape \[2, 3\] for 3 rows"),
    ],
)
def test_outputs_without_a_row_for_each_row_are_refused(
    tmp_path: Path, nodes: list[Any], shape: Any, message: str
) -> None:
    model = graph(nodes, {"x": (FLOAT, ("batch", 2))}, {"y": (FLOAT, shape)})
    file = save(tmp_path / "m.onnx", model)
    with pytest.raises(BadInput, match=message):
        Scorer(file, pa.schema({"p": pa.float32(), "q": pa.float32()}))


@pytest.mark.parametrize(("name", "content"), [("m.onnx", b"nothing"), ("m.tflite", b"nothing"), ("m.pkl", b"x")])
def test_a_file_that_is_no_model_is_bad_input(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput):
        Scorer(model_file(tmp_path / name), pa.schema({}))
