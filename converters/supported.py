"""What can be converted here: sources, steps of scikit-learn pipelines, operators of ONNX that TFLite expresses."""

from __future__ import annotations

from typing import Any

from mlpack_edge.converters.tflite_from_onnx.table import table as lowered_operators
from mlpack_edge.core.errors import MissingExtra
from mlpack_edge.core.extensions import SOURCES, STEPS, extensions

Json = dict[str, Any]


def list_supported(payload: Json, stage: Any) -> Json:
    """{"sources": {kind: how}, "steps": [{"class", "by"}], "tflite": [operator]}, sorted; "by" is "mlpack", "skl2onnx"
    or a package. "tflite": operators of ONNX that are lowered; others are where the standard defines them by these.

    Classes go by the path they are imported from; parts of others (`sklearn.gaussian_process._Binary...`) are left
    out. Without scikit-learn or skl2onnx there are no steps, and "missing" is the line that installs them.
    """
    sources = {name: extension.point.value for name, extension in extensions(SOURCES).items()}
    operators = sorted(f"{domain}.{name}" if domain else name for domain, name in lowered_operators())
    steps: dict[str, str] = {}
    try:
        steps.update(dict.fromkeys(_by_skl2onnx(), "skl2onnx"))
        from mlpack_edge.converters.onnx_from_sklearn.table import built_in

        steps.update(dict.fromkeys(built_in(), "mlpack"))
    except ModuleNotFoundError as fault:
        if (fault.name or "").startswith("mlpack_edge"):
            raise
        missing = MissingExtra("", "pip install 'mlpack-edge[sklearn]'")
        return {"sources": sources, "steps": [], "tflite": operators, "missing": missing.hint}
    steps.update({name: step.point.value for name, step in extensions(STEPS).items()})
    public = {name: by for name, by in steps.items() if not name.rpartition(".")[2].startswith("_")}
    listed = [{"class": name, "by": by} for name, by in sorted(public.items())]
    return {"sources": sources, "steps": listed, "tflite": operators}


def _by_skl2onnx() -> list[str]:
    """The classes of scikit-learn that skl2onnx has a converter for."""
    import sklearn.base
    from skl2onnx._supported_operators import sklearn_operator_name_map

    from mlpack_edge.converters.onnx_from_sklearn.scope import public_path

    kinds = [kind for kind in sklearn_operator_name_map if isinstance(kind, type)]
    paths = [public_path(kind) for kind in kinds if issubclass(kind, sklearn.base.BaseEstimator)]
    return [path for path in paths if path.startswith("sklearn.")]
