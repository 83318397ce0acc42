"""What a model's signature says of the columns that feed it."""

from __future__ import annotations

from mlpack_edge.batch.models import kinds_of_columns
from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.core.signature import Column, Signature, TensorSpec


def _kinds(*columns: Column, dtype: str) -> dict[str, str]:
    inputs = tuple(TensorSpec(column.input, dtype, ("batch", 1)) for column in columns)
    signature = Signature(inputs, (TensorSpec("score", "float32", ("batch", 1), "value"),), columns)
    return kinds_of_columns([ModelFile("m", "tflite", "0" * 64, "", (), signature.dumps())])


def test_texts_that_the_model_takes_as_codes_are_read_as_texts() -> None:
    """TFLite has no texts; a CSV column of carriers is one of texts all the same."""
    carrier = Column("carrier", "categorical", "carrier", categories=("AA", "UA"))
    number = Column("month", "categorical", "month", categories=(1, 2))
    assert _kinds(carrier, number, dtype="int32") == {"carrier": "text", "month": "whole"}
    assert _kinds(carrier, dtype="string") == {"carrier": "text"}
    assert _kinds(Column("x", "numeric", "x"), dtype="float32") == {"x": "number"}


def test_a_column_of_two_models_is_read_as_the_narrower_of_them_takes_it() -> None:
    """What feeds a bool feeds a float as well, and not the other way round."""
    models = []
    for dtype in ("bool", "int32", "float32"):
        signature = Signature(
            (TensorSpec("x", dtype, ("batch", 1)),), (TensorSpec("score", "float32", ("batch", 1)),), ()
        )
        models.append(ModelFile(dtype, "tflite", "0" * 64, "", (), signature.dumps()))
    assert [kinds_of_columns([model])["x"] for model in models] == ["truth", "whole", "number"]
    assert kinds_of_columns(models)["x"] == kinds_of_columns(models[::-1])["x"] == "truth"
    assert kinds_of_columns(models[1:])["x"] == "whole"
