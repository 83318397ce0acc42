"""Where a converter works: the graph, and the path of the step it converts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_graph import Graph, Value
from mlpack_edge.core.errors import Unsupported

#: An object of an untyped library (scikit-learn ships no type hints).
Estimator = Any
Converter = Callable[["Scope", Estimator, Frame], "Frame | Prediction"]

REFUSAL_HINT = "mlpack convert --list-supported, or {stop}register one: docs/how-to/register-a-converter.md"
#: The paths of steps that something comes before, in the pipeline that is the model or that a search chose.
_LATER_STEP = re.compile(r"(pipeline|model)(\.best_estimator_)*\.steps\[[1-9]\d*\]")


@dataclass(frozen=True, slots=True)
class Scope:
    """The step at `path` (as one would write it in Python: `pipeline.steps[1]`), called `name` by its owner.

    wants: "predict" or "transform", which of the two an estimator that can do both (KMeans, LDA, PLS, RFE, stacking)
        is asked for. The last step of a model predicts; what feeds another step transforms.
    """

    graph: Graph
    path: str
    name: str
    convert_step: Callable[[Scope, Estimator, Frame], Frame | Prediction]
    wants: str = "predict"

    def child(self, suffix: str, name: str = "", wants: str = "") -> Scope:
        """The scope of a part: `suffix` is appended to the path (`.steps[1]`, `.estimators_[3]`)."""
        return Scope(self.graph, self.path + suffix, name or self.name, self.convert_step, wants or self.wants)

    def convert(self, estimator: Estimator, frame: Frame, suffix: str, name: str = "") -> Frame | Prediction:
        """Convert a part of this step that gives what this step is asked for."""
        return self.convert_step(self.child(suffix, name), estimator, frame)

    def transform(self, estimator: Estimator, frame: Frame, suffix: str, name: str = "") -> Frame:
        """Convert a part that must be a transformer."""
        made = self.convert_step(self.child(suffix, name, "transform"), estimator, frame)
        if not isinstance(made, Frame):
            raise self.child(suffix, name).refuse(estimator, "it predicts where a transformer is needed")
        return made

    def predict(self, estimator: Estimator, frame: Frame, suffix: str, name: str = "") -> Prediction:
        """Convert a part that must be a predictor."""
        made = self.convert_step(self.child(suffix, name, "predict"), estimator, frame)
        if not isinstance(made, Prediction):
            raise self.child(suffix, name).refuse(estimator, "it transforms where a predictor is needed")
        return made

    def refuse(self, estimator: Estimator, why: str) -> Unsupported:
        """The error that says that this step cannot be converted, and why. Raise what it returns."""
        full = class_path(estimator)
        return Unsupported(
            f"step '{self.name}' ({full}) at {self.path} cannot be converted",
            REFUSAL_HINT.format(stop=f"--stop-before {self.name}, or " if _LATER_STEP.fullmatch(self.path) else ""),
            why=why,
            step=self.name, path=self.path, **{"class": full},
        )  # fmt: skip


def class_path(estimator: Estimator) -> str:
    """The public name of the estimator's class: `sklearn.ensemble.RandomForestClassifier`."""
    return public_path(type(estimator))


def public_path(kind: type) -> str:
    """The public name of a class: its module up to the first private part, and its name."""
    public = []
    for part in kind.__module__.split("."):
        if part.startswith("_"):
            break
        public.append(part)
    return ".".join([*public, kind.__qualname__])


def pick_label(graph: Graph, index: str, classes: Any) -> Value:
    """The class label `[batch]` for an int64 class index `[batch]`.

    classes: the estimator's `classes_`; integers stay int64, texts become strings, booleans bool, floats float64.
    """
    array = np.asarray(classes)
    if array.dtype.kind in "iu":
        array = array.astype(np.int64)
    elif array.dtype.kind == "f":
        array = array.astype(np.float64)
    elif array.dtype.kind in "OUS":
        texts = [label for label in array.tolist() if not isinstance(label, str)]
        if texts:
            raise Unsupported(f"class labels of mixed type: {texts[0]!r} is not text", "train with labels of one type")
    dtype = "string" if array.dtype.kind in "OUS" else str(array.dtype)
    return Value(graph.op("Gather", graph.const(array, "string" if dtype == "string" else None), index), dtype, None)
