"""Extension points: entry-point groups whose members are loaded only when they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mlpack_edge.core.errors import MissingExtra, MlpackError

SOURCES = "mlpack_edge.sources"
STEPS = "mlpack_edge.steps"


@dataclass(frozen=True, slots=True)
class Extension:
    name: str
    point: EntryPoint

    def load(self) -> Any:
        """Import and return the object. Raises MissingExtra where a package it needs is absent."""
        try:
            return self.point.load()
        except ModuleNotFoundError as fault:
            raise missing_extra(fault.name or "", f"{self.name} models") from fault
        except AttributeError as fault:
            raise MlpackError(
                f"the extension {self.point.value} does not exist",
                f"mend or uninstall the package that registers {self.name!r} in {self.point.group}",
                why=str(fault),
            ) from fault


def extensions(group: str) -> dict[str, Extension]:
    """The members of a group by name, in the order of their names. Nothing is imported."""
    found = sorted(entry_points(group=group), key=lambda point: (point.name, point.value))
    return {point.name: Extension(point.name, point) for point in found}


#: Which extra brings which import; `mlpack doctor` and every missing import ask here.
EXTRA_OF_MODULE = {
    "sklearn": "sklearn",
    "skl2onnx": "sklearn",
    "skops": "sklearn",
    "pandas": "sklearn",
    "joblib": "sklearn",
    "scipy": "sklearn",
    "xgboost": "boosters",
    "lightgbm": "boosters",
    "catboost": "boosters",
    "onnxmltools": "boosters",
    "torch": "torch",
    "onnxscript": "torch",
    "safetensors": "torch",
}


def missing_extra(module: str, purpose: str) -> MlpackError:
    """The error for an import that failed: the one line that installs it where an extra has it."""
    root = module.partition(".")[0]
    extra = EXTRA_OF_MODULE.get(root)
    line = f"pip install 'mlpack-edge[{extra}]'" if extra else f"pip install {root}"
    return MissingExtra(f"{purpose} need the package {root}, which is not installed", line, module=root, extra=extra)
