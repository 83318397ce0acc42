"""Keeps torch out of a process that opens a `.skops` file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

_ITS_ARRAYS = "sklearn.externals.array_api_compat.torch"


@contextmanager
def torch_left_out() -> Iterator[None]:
    """For the first import of skops: it lists scikit-learn's estimators (`sklearn.utils.discovery.all_estimators`), and
    the walk through scikit-learn's packages imports the one that adapts torch's arrays, so torch itself where it is
    installed: 1.5 s and 180 MB. There is no estimator in it, and afterwards it is imported as ever.
    """
    if _ITS_ARRAYS in sys.modules:
        yield
        return
    sys.modules[_ITS_ARRAYS] = cast(ModuleType, None)  # what import takes for a package that is not there
    try:
        yield
    finally:
        del sys.modules[_ITS_ARRAYS]
