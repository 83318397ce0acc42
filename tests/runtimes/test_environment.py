"""The known-bad pairs are recognised by version, each with the line that mends it."""

from __future__ import annotations

import pytest

from mlpack_edge.runtimes.environment import problems, required_by_extra, survey

GOOD = {
    "protobuf": "6.33.6",
    "skl2onnx": "1.20.0",
    "onnx": "1.23.2",
    "numpy": "2.4.6",
    "torch": "2.13.0+cpu",
    "onnxscript": "0.7",
}


@pytest.mark.parametrize(
    ("change", "what", "mend"),
    [
        ({"protobuf": "7.0.1"}, "protobuf 7 with skl2onnx 1.20", "protobuf>=6.31.1,<7"),
        ({"protobuf": "5.29.3"}, "protobuf older than 6", "protobuf>=6.31.1,<7"),
        ({"tflite-runtime": "2.14.0"}, "numpy 2 with tflite-runtime 2.14", "numpy<2"),
        ({"hummingbird-ml": "0.4.12"}, "hummingbird-ml with torch", "pip uninstall hummingbird-ml"),
        ({"xgboost": "3.2.0", "xgboost-cpu": "3.2.0"}, "xgboost and xgboost-cpu", "pip install xgboost-cpu"),
        ({"onnxscript": None}, "torch without onnxscript", "mlpack-edge[torch]"),
    ],
)
def test_a_bad_pair_is_named_with_its_mend(change: dict[str, str | None], what: str, mend: str) -> None:
    found = problems({**GOOD, **change})
    assert len(found) == 1
    assert found[0].what.startswith(what) and mend in found[0].mend


def test_the_tried_versions_have_no_problem() -> None:
    assert problems(GOOD) == []
    assert problems({**GOOD, "tflite-runtime": "2.14.0", "numpy": "1.26.4"}) == []
    assert problems({}) == []


def test_extras_are_read_from_our_own_metadata() -> None:
    extras = required_by_extra()
    assert "scikit-learn" in extras["sklearn"] and "torch" in extras["torch"] and "click" in extras[""]


def test_the_survey_names_what_is_missing() -> None:
    facts = survey()
    assert facts["packages"]["onnx"]
    for extra in facts["extras"].values():
        assert extra["installed"] == (not extra["missing"])
