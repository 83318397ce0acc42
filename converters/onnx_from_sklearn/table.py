"""Which function converts which class. A family of estimators is a file; this lists the files.

Each family file holds a dictionary `CONVERTERS` from a public class path, as `scope.class_path` prints it, to a
function of the type `scope.Converter`. An exact class is looked up, never a base class: a subclass may predict
otherwise. Packages add theirs through the entry-point group `mlpack_edge.steps`, named by the class path.
A family file whose classes both predict and transform may hold a second dictionary `TRANSFORMS`, used instead of
`CONVERTERS` where the estimator feeds another step (`scope.wants == "transform"`).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from mlpack_edge.converters.onnx_from_sklearn.scope import Converter
from mlpack_edge.core.extensions import STEPS, extensions

FAMILIES = (
    "boosters",
    "trees",
    "boosting",
    "bagging",
    "compose",
    "linear",
    "decomposition",
    "kernel_features",
    "selection",
    "encoders",
    "imputers",
    "knn_imputer",
    "scalers",
    "splines",
    "text",
    "distributions",
    "functions",
    "dummy",
    "bayes",
    "discriminant",
    "clusters",
    "mixture",
    "neighbors",
    "neural",
    "gaussian_process",
    "kernel_models",
    "calibration",
    "svm",
    "multiclass",
    "stacking",
    "meta",
)


@cache
def built_in(wants: str = "predict") -> dict[str, Converter]:
    """Every converter of the family files, for what `wants` asks ("predict" or "transform")."""
    found: dict[str, Converter] = {}
    for family in FAMILIES:
        module = import_module(f"mlpack_edge.converters.onnx_from_sklearn.{family}")
        found.update(module.CONVERTERS)
    if wants == "transform":
        for family in FAMILIES:
            module = import_module(f"mlpack_edge.converters.onnx_from_sklearn.{family}")
            found.update(getattr(module, "TRANSFORMS", {}))
    return found


def converter_for(path: str, wants: str = "predict") -> Converter | None:
    """The converter of a class, one registered by another package first."""
    registered = extensions(STEPS).get(path)
    if registered is not None:
        converter: Converter = registered.load()
        return converter
    return built_in(wants).get(path)
