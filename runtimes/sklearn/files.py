"""Load a fitted estimator from a file: skops with a curated list of types, pickles only when told to."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.errors import BadInput, MlpackError, Untrusted
from mlpack_edge.core.extensions import missing_extra
from mlpack_edge.runtimes.sklearn.estimator import Estimator
from mlpack_edge.runtimes.sklearn.skops_trusted import TRUSTED

SAFE_FORMAT = "save it as skops.io.dump(model, 'model.skops') where it was trained"


@dataclass(frozen=True, slots=True)
class LoadedEstimator:
    """notes: what the user should know, such as another version of scikit-learn in the file."""

    estimator: Estimator
    notes: tuple[str, ...]


def load_skops(path: Path, trust: bool = False) -> LoadedEstimator:
    """Open a `.skops` file.

    Raises Untrusted, naming them, where it holds types that are not on the curated list (and `trust` is false);
    BadInput where the file is damaged; MissingExtra where it needs a package that is not installed.
    """
    import skops.io

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            unknown = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED))
            if unknown and not trust:
                raise Untrusted(
                    f"{path} holds types that are not on the list of trusted ones: {', '.join(unknown)}",
                    "where you know who made the file: --trust-pickle loads these types too",
                    why="calling an unknown function, or setting the state of an unknown type, can run any code",
                )
            estimator = skops.io.load(path, trusted=[*TRUSTED, *unknown])
        except MlpackError:
            raise
        except ModuleNotFoundError as fault:
            raise missing_extra(fault.name or "", f"the steps in {path}") from fault
        except _DAMAGE as fault:
            raise damaged(path, fault) from fault
    return LoadedEstimator(estimator, _version_notes(caught))


def load_pickle(path: Path, trust: bool) -> LoadedEstimator:
    """Load a pickle or joblib file, which runs whatever code its author chose: Untrusted unless `trust`."""
    if not trust:
        digest = sha256_of_file(path)
        raise Untrusted(
            f"{path} is a pickle (sha256 {digest})",
            f"{SAFE_FORMAT}; or, if you trust whoever made exactly this file: --trust-pickle",
            why="loading a pickle runs any code that its author put into it, with your rights",
            sha256=digest,
        )
    import joblib

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator = joblib.load(path)
        except ModuleNotFoundError as fault:
            raise missing_extra(fault.name or "", f"the objects in {path}") from fault
        except (*_DAMAGE, pickle.UnpicklingError) as fault:
            raise damaged(path, fault) from fault
    return LoadedEstimator(estimator, _version_notes(caught))


#: What skops, joblib and the constructors they call raise on damaged files.
_DAMAGE = (
    zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, EOFError, OSError, IndexError, ImportError,
    UnicodeDecodeError, RecursionError, zipfile.LargeZipFile, NotImplementedError, RuntimeError,
)  # fmt: skip


def damaged(path: Path, fault: Exception) -> BadInput:
    first = (str(fault).strip().splitlines() or [""])[0]
    return BadInput(
        f"{path} could not be loaded",
        "the file is damaged or was written by other versions: mlpack doctor shows those installed here; "
        "save the model again where it was trained",
        why=f"{type(fault).__name__}: {first}"[:300],
    )


def _version_notes(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """A file written by another version of scikit-learn may load and predict otherwise: that is said."""
    for warning in caught:
        if type(warning.message).__name__ == "InconsistentVersionWarning":
            was = getattr(warning.message, "original_sklearn_version", "another version")
            now = getattr(warning.message, "current_sklearn_version", "this one")
            return (f"the model was saved by scikit-learn {was}, it was checked as scikit-learn {now} runs it",)
    return ()
