"""Files that name classes or functions of the user's own code, which is not where they are loaded."""

from __future__ import annotations

import re
from pathlib import Path

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.extensions import EXTRA_OF_MODULE, PACKAGE_OF_MODULE

#: How pickle, and `getattr` on a module, say that a name is not in it.
_ABSENT = (
    re.compile(r"Can't get attribute '(?P<name>[^']+)' on <module '(?P<module>[^']+)'"),
    re.compile(r"module '(?P<module>[^']+)' has no attribute '(?P<name>[^']+)'"),
)
_WHY = "the file holds the names of classes and functions, not their code"


def absent_code(path: Path, fault: Exception) -> BadInput | None:
    """The error for a name of the training script or of a module of the user's own; None for every other fault."""
    found = next((match for pattern in _ABSENT if (match := pattern.search(str(fault)))), None)
    if not isinstance(fault, AttributeError) or found is None:
        return None
    name, module = found["name"], found["module"]
    if module.endswith(("__main__", "__mp_main__")) or module == "mlpack_edge.cli.main":
        return BadInput(
            f"{path} needs {name}, which lives in the script that trained the model",
            "move it into a module of its own, import it from there where you train, and save again; then, "
            "if it is your own code: PYTHONPATH=DIR mlpack ..., DIR being the folder that holds the module",
            why=_WHY,
        )
    root = module.partition(".")[0]
    if root in EXTRA_OF_MODULE or root in PACKAGE_OF_MODULE or root == "numpy":  # another version of the package
        return None
    return BadInput(
        f"{path} needs {name} of the module {module}, which has none here",
        "if it is your own code: PYTHONPATH=DIR mlpack ..., DIR being the folder that holds the right module",
        why=_WHY,
    )
