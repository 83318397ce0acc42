"""What registers under `mlpack_edge.runtimes`: a package that opens and runs model files of some formats."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.parity import Runner


class Runtime(Protocol):
    """Registered as a class without arguments: `name = "package.module:Class"` in the group `mlpack_edge.runtimes`.

    Both functions act on the file in this very process; files from elsewhere are opened in a child (`worker`).
    """

    #: What `recognise` calls the files it runs: "onnx", "tflite".
    formats: tuple[str, ...]

    def loads(self, model: Path) -> str | None:
        """None where the file opens, else the reason in one line."""
        ...

    def open(self, model: bytes | Path, signature: Signature | None = None) -> Runner:
        """A runner with default options; without `signature`, of the one in the file or what the graph tells.

        It refuses feeds of other names, dtypes or shapes than the signature's (BadInput, or CheckFailed where the
        package itself says no), gives copies, and takes every batch that the signature leaves open.
        Raises BadInput or CheckFailed where the file is damaged or refused.
        """
        ...


def check_names(feeds: Mapping[str, Any], names: list[str]) -> None:
    """Raise BadInput where other inputs are fed than the model has."""
    if set(feeds) != set(names):
        raise BadInput(
            f"the model was fed {', '.join(sorted(feeds)) or 'nothing'}",
            "feed an array under each of its inputs' names", why=f"its inputs are {', '.join(names)}",
        )  # fmt: skip
