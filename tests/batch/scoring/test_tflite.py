"""TFLite models in blocks: texts as codes, fixed batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import helper
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.batch.scoring.scorer import Scorer
from mlpack_edge.converters.tflite_from_onnx.convert import tflite_from_onnx
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.litert.runner import LitertOptions, LitertRunner
from mlpack_edge.runtimes.onnx_files.signature import signature_from_onnx
from tests.batch.scoring.models import FLOAT, answers, batch_of, frame, graph, model_file, sklearn_model


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    folder = tmp_path_factory.mktemp("models")
    rows = frame(1500)[["a", "c", "d"]]
    fitted = make_pipeline(
        make_column_transformer((StandardScaler(), ["a"]), (OneHotEncoder(handle_unknown="ignore"), ["c", "d"])),
        LogisticRegression(),
    ).fit(rows, answers(frame(1500)))
    source = onnx.load(sklearn_model(folder / "m.onnx", fitted, rows).path)
    made = tflite_from_onnx(source, signature_from_onnx(source))
    (folder / "m.tflite").write_bytes(made.data)
    return model_file(folder / "m.tflite")


def test_texts_are_coded_as_the_runner_codes_them(file: ModelFile) -> None:
    rows = frame(5000, seed=4)[["a", "c", "d"]]
    rows.loc[::9, "c"] = "unknown"
    rows.loc[::11, "d"] = None
    runner = LitertRunner(Path(file.path), options=LitertOptions(decode=True))
    scorer = Scorer(file, batch_of(rows).schema)
    assert scorer.dictionary == ("c", "d")
    for coded in (False, True):
        batch = batch_of(rows, coded)
        made = scorer.score(batch, np.ones(5000, bool))
        for start in range(0, 5000, scorer.block_rows):
            part = rows[start : start + scorer.block_rows]
            feeds = {name: part[name].fillna("").to_numpy(object).reshape(-1, 1) for name in "cd"}
            feeds["a"] = part["a"].to_numpy(np.float32).reshape(-1, 1)
            expected = runner.run(feeds)
            block = {name: array.slice(start, len(part)) for name, array in made.items()}
            assert block["label"].to_pylist() == expected["label"].ravel().tolist()
            flat = block["probabilities"].flatten().to_numpy()
            assert flat.tobytes() == expected["probabilities"].tobytes()
    assert made["label"].type == pa.dictionary(pa.int32(), pa.string())


def test_codes_in_place_of_texts_are_refused(file: ModelFile) -> None:
    schema = pa.schema({"a": pa.float64(), "c": pa.int32(), "d": pa.string()})
    with pytest.raises(BadInput, match="column 'c' is int32, the model takes text there"):
        Scorer(file, schema)


def test_a_fixed_batch_of_several_rows_is_filled_up(tmp_path: Path) -> None:
    shape = (4, 2)
    model = graph([helper.make_node("Relu", ["x"], ["y"])], {"x": (FLOAT, shape)}, {"y": (FLOAT, shape)})
    signature = Signature((TensorSpec("x", "float32", shape),), (TensorSpec("y", "float32", shape),))
    (tmp_path / "m.tflite").write_bytes(tflite_from_onnx(model, signature).data)
    batch = pa.RecordBatch.from_pydict({"p": pa.array(range(-3, 7)), "q": pa.array(range(10))})
    scorer = Scorer(model_file(tmp_path / "m.tflite"), batch.schema)
    assert scorer.block_rows == 4
    made = scorer.score(batch, np.arange(10) != 9)["y"].to_pylist()
    assert made == [[float(max(row - 3, 0)), float(row)] for row in range(9)] + [None]
