"""Keeps pandas out of a process of its own that has no use for it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def leave_pandas_out() -> None:
    """pyarrow imports pandas where it is installed, as soon as an array is made from one of numpy's: .3 s and 40 MB.

    For the whole process, and only before it was imported: pyarrow remembers what it found.
    """
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas())


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left out of this process", name=name)
        return None
