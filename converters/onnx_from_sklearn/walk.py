"""Walk a fitted estimator, step by step, and write its graph."""

from __future__ import annotations

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.fallback import convert_with_skl2onnx
from mlpack_edge.converters.onnx_from_sklearn.scope import Estimator, Scope, class_path
from mlpack_edge.converters.onnx_from_sklearn.table import converter_for
from mlpack_edge.converters.onnx_graph import Graph
from mlpack_edge.core.errors import Unsupported

#: Wrappers that only choose parameters: the model is what they chose.
_SEARCHES = {"GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"}


def convert_step(scope: Scope, estimator: Estimator, frame: Frame) -> Frame | Prediction:
    """Convert one step with our converter, or with skl2onnx where we have none (Unsupported where neither can)."""
    path = class_path(estimator)
    if path.startswith("sklearn.") and type(estimator).__name__ in _SEARCHES:
        return convert_step(scope.child(".best_estimator_"), estimator.best_estimator_, frame)
    converter = converter_for(path, scope.wants)
    with scope.graph.path(scope.path):
        try:
            made = converter(scope, estimator, frame) if converter else convert_with_skl2onnx(scope, estimator, frame)
        except Unsupported as refusal:
            if "step" in refusal.data:
                raise
            raise scope.refuse(
                estimator, f"{refusal.message}; {refusal.hint}" if refusal.hint else refusal.message
            ) from refusal
    if isinstance(made, Frame):
        made = _named(estimator, made)
        if not made.is_text:
            scope.graph.taps[scope.path] = made.dense(scope.graph)
    return made


def _named(estimator: Estimator, frame: Frame) -> Frame:
    """Take over the names of the columns where the next step may choose by them (`set_output`)."""
    names = getattr(estimator, "get_feature_names_out", None)
    if names is None:
        return frame
    try:
        out = [str(name) for name in names()]
    except (ValueError, AttributeError, TypeError):  # not fitted with names, or a part that has none
        return frame
    return frame.renamed(out) if len(out) == frame.width else frame


def convert_estimator(graph: Graph, estimator: Estimator, frame: Frame, root: str) -> Frame | Prediction:
    """Write the graph of a fitted estimator whose input is `frame`; `root` starts the paths of its steps.

    Raises Unsupported for float16 columns: numpy rounds to 11 bits after each operation on them, which none of our
    converters does.
    """
    half = [name for block in frame.blocks if block.value.dtype == "float16" for name in block.names]
    if half:
        raise Unsupported(
            "float16 inputs are not converted", "pass --dtype float32", why=f"the column {half[0]!r} is float16"
        )
    return convert_step(Scope(graph, root, root, convert_step), estimator, frame)
