"""What --list-supported tells: every class by a path that imports; what to install where scikit-learn is absent."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # IterativeImputer imports only after it

from mlpack_edge.converters.supported import list_supported


def test_every_class_is_listed_by_a_path_that_imports() -> None:
    names = [step["class"] for step in list_supported({}, None)["steps"]]
    assert len(names) > 150 and names == sorted(set(names))
    for name in names:
        module, _, kind = name.rpartition(".")
        assert isinstance(getattr(import_module(module), kind), type), name
        assert not any(part.startswith("_") for part in name.split(".")), name


def test_without_scikit_learn_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    monkeypatch.setitem(sys.modules, "skl2onnx._supported_operators", None)
    made = list_supported({}, None)
    assert made["steps"] == [] and "xgboost-json" in made["sources"]
    assert "pip install" in made["missing"] and "sklearn" in made["missing"]
