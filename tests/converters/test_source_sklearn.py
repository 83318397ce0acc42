"""scikit-learn models as people have them: odd pipelines, wide tables, odd column names, data of another kind."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, HistGradientBoostingClassifier
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlpack_edge.converters.prove import Allowed, prove
from mlpack_edge.converters.sources.sklearn import SklearnSource, from_pickle
from mlpack_edge.converters.sources.source import SourceOptions, adopted
from mlpack_edge.core.errors import BadInput, MissingExtra, Unsupported
from mlpack_edge.core.extensions import missing_extra
from mlpack_edge.core.signature import Column, Signature, TensorSpec
from mlpack_edge.runtimes.data import Table
from mlpack_edge.runtimes.onnxruntime import OnnxRunner

RANDOM = np.random.default_rng(0)
ROWS = pd.DataFrame(
    {"age": RANDOM.normal(40, 10, 80), "pay": RANDOM.normal(size=80), "zip": ["01", "02", "03", "04"] * 20}
)
NUMBERS = ROWS[["age", "pay"]]
Y = (ROWS["age"] + 9 * ROWS["pay"] > 40).to_numpy()


def source(estimator: Any, **options: Any) -> SklearnSource:
    return SklearnSource("pickle", estimator, SourceOptions(**options))


def proven(estimator: Any, **options: Any) -> SklearnSource:
    """The source, after its ONNX model was proven the same."""
    opened = source(estimator, **options)
    built = opened.convert()
    runner = OnnxRunner(built.model.SerializeToString(), built.signature)
    proof = prove(opened, runner, opened.hints(), options.get("data"), 100, Allowed("tabular"), lambda feeds: None)
    assert proof.verdict.passed, proof.verdict.reasons
    return opened


def table(**columns: Any) -> Table:
    return Table(Path("rows.csv"), {name: np.asarray(column) for name, column in columns.items()}, {})


@pytest.mark.parametrize("nothing", ["passthrough", None])
@pytest.mark.parametrize("searched", [False, True])
def test_a_first_step_that_does_nothing_hides_no_column_names(nothing: str | None, searched: bool) -> None:
    model: Any = Pipeline([("a", nothing), ("b", StandardScaler()), ("c", LogisticRegression())])
    if searched:
        model = GridSearchCV(model, {"c__C": [1.0]}, cv=2)
    assert [spec.name for spec in proven(model.fit(NUMBERS, Y)).signature.inputs] == ["age", "pay"]


def test_a_first_step_that_does_nothing_hides_no_width() -> None:
    model = Pipeline([("a", "passthrough"), ("c", LogisticRegression())]).fit(NUMBERS.to_numpy(), Y)
    assert proven(model).signature.inputs == (TensorSpec("X", "float32", ("batch", 2)),)


def test_a_model_of_unknown_width_is_not_taken_for_one_of_one_column() -> None:
    union = FeatureUnion([("f", FunctionTransformer(np.abs))])  # not fitted, and needs no fitting
    with pytest.raises(BadInput, match="how many columns"):
        source(union)
    rows = Table(Path("rows.npy"), {}, {"": NUMBERS.to_numpy()})
    assert source(union, data=rows).signature.inputs[0].shape == ("batch", 2)


def test_a_part_that_selected_no_column_is_left_out() -> None:
    columns = ColumnTransformer([("none", OneHotEncoder(), []), ("scaled", StandardScaler(), slice("age", "pay"))])
    facts = proven(make_pipeline(columns, DecisionTreeClassifier(max_depth=3)).fit(NUMBERS, Y)).hints()
    assert all(facts.columns[name, 0].edges.size for name in NUMBERS), "thresholds behind the scaler are known"


def test_the_unfitted_template_of_an_ensemble_is_left_out() -> None:
    boosted = AdaBoostClassifier(HistGradientBoostingClassifier(max_iter=2), n_estimators=2).fit(NUMBERS, Y)
    assert [spec.name for spec in source(boosted).signature.inputs] == ["age", "pay"]
    inner = make_pipeline(
        ColumnTransformer([("one", OneHotEncoder(), [0]), ("two", StandardScaler(), [1])]),
        DecisionTreeClassifier(max_depth=2),
    )
    rows = np.c_[RANDOM.integers(0, 2, 80), NUMBERS["pay"]].astype(float)
    opened = source(BaggingClassifier(inner, n_estimators=2, random_state=0).fit(rows, Y))
    assert opened.signature.inputs[0].shape == ("batch", 2)


def test_which_columns_take_missing_values_is_found_quickly_and_one_by_one() -> None:
    """A third of the columns is imputed; the rest refuses missing values. It took over half a minute."""
    names = [f"c{i}" for i in range(300)]
    rows = pd.DataFrame(RANDOM.normal(size=(40, 300)), columns=names)
    some = [name for i, name in enumerate(names) if i % 3 == 0]
    columns = ColumnTransformer([("filled", SimpleImputer(), some)], remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression(max_iter=10_000)).fit(rows, rows["c0"] > 0)
    start = time.process_time()
    signature = (opened := source(model)).convert() and opened.signature
    assert time.process_time() - start < 10
    assert [column.name for column in signature.columns if column.missing] == some


def test_columns_that_a_selector_drops_may_be_missing() -> None:
    rows = np.c_[NUMBERS, np.zeros((80, 20))]
    model = make_pipeline(VarianceThreshold(), LogisticRegression()).fit(rows, Y)
    columns = proven(model).signature.columns
    assert [column.missing for column in columns] == [False] * 2 + [True] * 20


def test_missing_text_is_none_or_nan_as_each_column_was_trained() -> None:
    rows = pd.DataFrame(
        {
            "a": pd.Series(["x", "y", None, "x"] * 20, dtype=object),
            "b": pd.Series(["u", np.nan, "v", "u"] * 20, dtype=object),
        }
    )
    columns = ColumnTransformer([("a", OneHotEncoder(), ["a"]), ("b", OneHotEncoder(), ["b"])])
    opened = proven(make_pipeline(columns, LogisticRegression()).fit(rows, [True, False] * 40))
    assert all(column.missing for column in opened.signature.columns)


@pytest.mark.parametrize("name", ["const:0", "const_1", "label", "model/Cast_1"])
def test_a_column_may_be_called_as_a_tensor_inside(name: str) -> None:
    rows = NUMBERS.rename(columns={"age": name, "pay": "label_output" if name == "label" else "pay"})
    opened = proven(LogisticRegression().fit(rows, Y))
    assert opened.signature.inputs[0].name == name


def test_a_column_without_a_name_is_refused() -> None:
    with pytest.raises(BadInput, match="column 1 of the model has an empty name"):
        source(LinearRegression().fit(NUMBERS.rename(columns={"pay": ""}), Y))


@pytest.mark.parametrize("matrix", [False, True])
def test_dtype_outranks_whole_numbers_in_the_data(matrix: bool) -> None:
    """A CSV file reads 1.0, 2.0 written as 1, 2 as whole numbers."""
    model = LinearRegression().fit(NUMBERS, Y)
    data = table(age=[1, 2], pay=[0.5, 1.5])
    inputs = source(model, data=data, dtype="float32", matrix=matrix).signature.inputs
    assert {spec.dtype for spec in inputs} == {"float32"}
    assert source(model, data=data).signature.inputs[0].dtype == "int64"


@pytest.fixture(scope="module")
def coded() -> Any:
    columns = ColumnTransformer(
        [("zip", OneHotEncoder(handle_unknown="ignore"), ["zip"]), ("n", StandardScaler(), ["age", "pay"])]
    )
    return make_pipeline(columns, LogisticRegression()).fit(ROWS, Y)


def test_numbers_where_text_was_trained_on_are_named(coded: Any) -> None:
    with pytest.raises(BadInput, match=r"rows\.csv: column 'zip' holds numbers.* text there, such as '01'") as refusal:
        source(coded, data=table(zip=[1, 2], age=[1.0, 2.0], pay=[1.0, 2.0]))
    assert "parquet" in refusal.value.hint


def test_text_where_numbers_were_trained_on_is_named(coded: Any) -> None:
    text = np.array(["01", None], object)
    with pytest.raises(BadInput, match=r"rows\.csv: column 'age' holds text, such as 'n/a'; .* numbers"):
        source(coded, data=table(zip=text, age=np.array(["n/a", "3"], object), pay=[1.0, 2.0]))
    assert source(coded, data=table(zip=text, age=[1.0, 2.0], pay=[1.0, 2.0])).signature.input("zip").dtype == "string"


def test_a_note_says_that_the_dtype_was_only_supposed() -> None:
    model = LinearRegression().fit(NUMBERS, Y)
    assert any("taken as float64" in note for note in source(model).notes())
    assert any("taken as float32" in note for note in source(LinearRegression().fit(NUMBERS.to_numpy(), Y)).notes())
    assert source(model, dtype="float32").notes() == []
    assert source(model, data=table(age=[1.5], pay=[2.5])).notes() == []


def test_columns_called_as_ours_tell_the_dtype_beside_others() -> None:
    model = LinearRegression().fit(NUMBERS.to_numpy(), Y)
    found = source(model, data=table(y=np.array(["a", "b"], object), x1=[1.5, 2.0], x0=[2.5, 3.0]))
    assert found.notes() == [] and found.signature.inputs[0].dtype == "float64"


def test_a_search_that_kept_no_model_says_how_to_keep_one() -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2, refit=False).fit(NUMBERS, Y)
    with pytest.raises(BadInput, match="refit=False") as refusal:
        source(search)
    assert refusal.value.hint == "fit it with refit=True"


def test_stop_before_works_on_the_pipeline_that_a_search_chose() -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("m", LogisticRegression())])
    search = GridSearchCV(pipeline, {"m__C": [1.0]}, cv=2).fit(NUMBERS, Y)
    assert [spec.role for spec in proven(search, stop_before="m").signature.outputs] == ["transformed"]


def test_a_refusal_offers_stop_before_only_where_steps_come_before() -> None:
    odd = FunctionTransformer(np.sort)
    with pytest.raises(Unsupported) as whole:
        source(odd.fit(NUMBERS)).convert()
    assert "--stop-before" not in whole.value.hint
    with pytest.raises(Unsupported) as later:
        source(make_pipeline(StandardScaler(), odd, LinearRegression()).fit(NUMBERS, Y)).convert()
    assert "--stop-before functiontransformer" in later.value.hint


def _own(rows: Any) -> Any:
    return rows


@pytest.mark.parametrize(("module", "error"), [("__main__", BadInput), ("mlpack_no_such_module", MissingExtra)])
def test_a_pickle_of_own_code_says_where_the_code_is_looked_for(
    module: str, error: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    import types

    path = tmp_path / "m.joblib"
    with monkeypatch.context() as patch:
        fake = types.ModuleType(module)
        fake._own = _own  # type: ignore[attr-defined]
        patch.setitem(sys.modules, module, fake)
        patch.setattr(_own, "__module__", module)
        joblib.dump(make_pipeline(FunctionTransformer(_own)).fit(NUMBERS), path)
    with pytest.raises(error) as refusal:
        from_pickle(str(path), SourceOptions(trust_pickle=True))
    assert "if it is your own code: PYTHONPATH=DIR mlpack" in refusal.value.hint
    assert "pip install" not in refusal.value.hint


def test_only_known_packages_are_offered_for_installation() -> None:
    assert missing_extra("imblearn.over_sampling", "x").hint == "pip install imbalanced-learn"
    assert "pip" not in missing_extra("mymod", "x").hint


def test_a_foreign_signature_keeps_the_columns_that_the_model_knows() -> None:
    own = Signature((), (), tuple(Column(name, "numeric", name) for name in ("a", "b")))
    matrix = Signature((TensorSpec("X", "float32", ("batch", 2)),), ())
    assert [(column.input, column.index) for column in adopted(own, matrix).columns] == [("X", 0), ("X", 1)]
    named = Signature(tuple(TensorSpec(name, "float32", ("batch", 1)) for name in ("b", "a")), ())
    assert [(column.name, column.input) for column in adopted(own, named).columns] == [("a", "a"), ("b", "b")]
    other = Signature((TensorSpec("X", "float32", ("batch", 3)),), ())
    assert adopted(own, other) is other


def test_thresholds_are_known_under_a_foreign_signature() -> None:
    opened = source(DecisionTreeClassifier(max_depth=3).fit(NUMBERS, Y))
    opened.adopt(
        Signature(
            (TensorSpec("X", "float32", ("batch", 2)),), (TensorSpec("p", "float32", ("batch", 2), "probabilities"),)
        )
    )
    assert all(opened.hints().columns["X", index].edges.size for index in (0, 1))
    assert opened.run({"X": NUMBERS.to_numpy(np.float32)})["p"].shape == (80, 2)


def test_a_binarizer_is_tried_on_its_threshold() -> None:
    """`>=` written for `>` shows only there."""
    from sklearn.preprocessing import Binarizer, StandardScaler

    rows = np.random.default_rng(0).normal(size=(50, 2))
    source = SklearnSource(
        "pickle", make_pipeline(StandardScaler(), Binarizer(threshold=0.25)).fit(rows), SourceOptions()
    )
    scaler = source.estimator[0]
    edges = source.hints().columns[("X", 0)].edges
    np.testing.assert_allclose(edges, [0.25 * scaler.scale_[0] + scaler.mean_[0]])
