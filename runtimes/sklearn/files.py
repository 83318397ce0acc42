"""Load a fitted estimator from a file: skops with a curated list of types, pickles only when told to."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.errors import BadInput, MlpackError, Untrusted
from mlpack_edge.core.extensions import missing_extra
from mlpack_edge.runtimes.sklearn.estimator import Estimator
from mlpack_edge.runtimes.sklearn.own_code import absent_code
from mlpack_edge.runtimes.sklearn.skops_trusted import TRUSTED
from mlpack_edge.runtimes.sklearn.torch_left_out import torch_left_out

SAFE_FORMAT = "save it as skops.io.dump(model, 'model.skops') where it was trained"


@dataclass(frozen=True, slots=True)
class LoadedEstimator:
    """notes: what the user should know, such as another version of scikit-learn in the file."""

    estimator: Estimator
    notes: tuple[str, ...]


def load_skops(path: Path, trust: bool = False) -> LoadedEstimator:
    """Open a `.skops` file; unless `trust`, only after every node in it was judged (`skops_schema`).

    Raises Untrusted, naming them, where it holds types that are not on the curated list, or a type where it could be
    called (and `trust` is false); BadInput where the file is damaged; MissingExtra where it needs a package that is
    not installed.
    """
    with torch_left_out():
        import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    from mlpack_edge.runtimes.sklearn.skops_schema import judge_schema

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if trust:
                trusted = skops.io.get_untrusted_types(file=path)
            else:
                judge_schema(path)
                trusted = list(TRUSTED)
            estimator = skops.io.load(path, trusted=trusted)
            _probe(estimator)
        except (MlpackError, MemoryError):
            raise
        except ModuleNotFoundError as fault:
            raise missing_extra(fault.name or "", f"the steps in {path}") from fault
        except UntrustedTypesFoundException as fault:
            raise Untrusted(f"{path} holds types that are not on the list of trusted ones", why=str(fault)) from fault
        except Exception as fault:  # what the constructors of other libraries raise on damaged state is unbounded
            raise damaged(path, fault) from fault
    return LoadedEstimator(estimator, _version_notes(caught))


def _probe(estimator: Estimator) -> None:
    """Ask for what every later step asks for first: an estimator without its parameters fails here, as damaged."""
    from sklearn.base import BaseEstimator
    from sklearn.utils import get_tags

    if isinstance(estimator, BaseEstimator):
        get_tags(estimator)


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
        except (MlpackError, MemoryError):
            raise
        except Exception as fault:  # what a pickle raises is whatever its author chose
            raise damaged(path, fault) from fault
    return LoadedEstimator(estimator, _version_notes(caught))


def damaged(path: Path, fault: Exception) -> BadInput:
    own = absent_code(path, fault)
    if own is not None:
        return own
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
