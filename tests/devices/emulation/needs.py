"""Skip, by name of what is missing, a test that needs a tool of this machine or the network."""

from __future__ import annotations

import shutil

import pytest


def need_tool(*names: str, package: str) -> str:
    """The path of the first of `names` there is; without any the test is skipped."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"{' or '.join(names)} is not here: Debian's package {package} has it")
    return found


def need_compiler() -> str:
    return need_tool("cc", "gcc", "clang", package="gcc")
