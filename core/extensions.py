"""Extension points: entry-point groups whose members are loaded only when they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mlpack_edge.core.errors import MissingExtra, MlpackError

SOURCES = "mlpack_edge.sources"
STEPS = "mlpack_edge.steps"
RUNTIMES = "mlpack_edge.runtimes"
TARGETS = "mlpack_edge.targets"
ENGINES = "mlpack_edge.engines"


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
    "deltalake": "delta",
    "fsspec": "remote",
    "aiohttp": "remote",
    "pyspark": "spark",
    "py4j": "spark",
    "daft": "daft",
}


#: Packages that pickled models often need, by their import; they are in no extra.
PACKAGE_OF_MODULE = {
    "category_encoders": "category_encoders",
    "cloudpickle": "cloudpickle",
    "dill": "dill",
    "feature_engine": "feature-engine",
    "hdbscan": "hdbscan",
    "imblearn": "imbalanced-learn",
    "polars": "polars",
    "sktime": "sktime",
    "skorch": "skorch",
    "statsmodels": "statsmodels",
    "tensorflow": "tensorflow",
    "torchvision": "torchvision",
    "transformers": "transformers",
    "umap": "umap-learn",
}


def missing_extra(module: str, purpose: str) -> MlpackError:
    """The error for an import that failed: the one line that installs it where an extra has it or the package is known.

    An unknown module is most often the user's own; a package of its name on an index would be someone else's.
    """
    root = module.partition(".")[0]
    extra = EXTRA_OF_MODULE.get(root)
    if extra is None and root not in PACKAGE_OF_MODULE:
        return MissingExtra(
            f"{purpose} need the module {root}, which cannot be imported here",
            "if it is your own code: PYTHONPATH=DIR mlpack ..., DIR being the folder that holds it; "
            "else install the package that it comes from",
            module=root, extra=None,
        )  # fmt: skip
    line = f"pip install 'mlpack-edge[{extra}]'" if extra else f"pip install {PACKAGE_OF_MODULE[root]}"
    return MissingExtra(f"{purpose} need the package {root}, which is not installed", line, module=root, extra=extra)
