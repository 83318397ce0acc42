"""A `.skops` file is opened without torch, and everything else stays as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import skops.io
from sklearn.linear_model import LinearRegression

SCRIPT = """
import json, sys
from pathlib import Path
from mlpack_edge.runtimes.sklearn.files import load_skops

load_skops(Path(sys.argv[1]))
before = "torch" in sys.modules
import sklearn.externals.array_api_compat.torch
from skops.io._trusted_types import SKLEARN_ESTIMATOR_TYPE_NAMES as names
print(json.dumps([before, "torch" in sys.modules, names]))
"""
ALONE = """
import json
from skops.io._trusted_types import SKLEARN_ESTIMATOR_TYPE_NAMES as names

print(json.dumps(names))
"""


def test_opening_a_skops_file_imports_no_torch_and_leaves_it_to_others(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]), path)
    before, after, names = _printed(SCRIPT, str(path))
    assert (before, after) == (False, True)
    assert names == _printed(ALONE)


def _printed(script: str, *arguments: str) -> Any:
    """Of a process of its own: what scikit-learn lists depends on what was imported, by other tests too."""
    line = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    return json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
