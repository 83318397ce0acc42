"""One thread for arithmetic in each of pytest-xdist's workers."""

from __future__ import annotations

import os
import sys

#: Read by the libraries when they are loaded. As many workers as there are cores, with as many threads each, would spend
#: two thirds of their time in threads that wait for one another.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_BEFORE = {name: os.environ.get(name) for name in _THREADS}
_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if _WORKER:
    os.environ.update(dict.fromkeys(_THREADS, "1"))


def pytest_collection_finish() -> None:
    """The libraries are loaded with the modules: the commands that the tests start get the environment as it was."""
    if not _WORKER:
        return
    for name, value in _BEFORE.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if "torch" in sys.modules:  # it asks its libraries at the first sum
        sys.modules["torch"].set_num_threads(1)
