"""What can be converted here: the sources, and the steps of scikit-learn pipelines."""

from __future__ import annotations

from typing import Any

from mlpack_edge.core.errors import MissingExtra
from mlpack_edge.core.extensions import SOURCES, STEPS, extensions

Json = dict[str, Any]


def list_supported(payload: Json, stage: Any) -> Json:
    """{"sources": {kind: how}, "steps": [{"class", "by"}]}, sorted; "by" is "mlpack", "skl2onnx" or a package."""
    sources = {name: extension.point.value for name, extension in extensions(SOURCES).items()}
    steps: dict[str, str] = {}
    try:
        steps.update(dict.fromkeys(_by_skl2onnx(), "skl2onnx"))
        from mlpack_edge.converters.onnx_from_sklearn.table import built_in

        steps.update(dict.fromkeys(built_in(), "mlpack"))
    except ModuleNotFoundError as fault:
        if (fault.name or "").startswith("mlpack_edge"):
            raise
        missing = MissingExtra("", "pip install 'mlpack-edge[sklearn]'")
        return {"sources": sources, "steps": [], "missing": missing.hint}
    steps.update({name: step.point.value for name, step in extensions(STEPS).items()})
    return {"sources": sources, "steps": [{"class": name, "by": by} for name, by in sorted(steps.items())]}


def _by_skl2onnx() -> list[str]:
    """The classes that go through skl2onnx and are not known to come out wrong."""
    import sklearn.base
    from skl2onnx._supported_operators import sklearn_operator_name_map

    from mlpack_edge.converters.onnx_from_sklearn.fallback import WRONG_IN_SKL2ONNX

    found = []
    for kind in sklearn_operator_name_map:
        if isinstance(kind, type) and issubclass(kind, sklearn.base.BaseEstimator):
            public = [part for part in kind.__module__.split(".") if not part.startswith("_")]
            if public[0] == "sklearn" and kind.__name__ not in WRONG_IN_SKL2ONNX:
                found.append(".".join([*public, kind.__qualname__]))
    return found
