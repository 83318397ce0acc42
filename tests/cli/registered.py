"""A package that registers something with mlpack, installed for one test as a folder on PYTHONPATH."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def register(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, code: str, points: str) -> None:
    """Write `module` (a path below the package index) with `code`, and the distribution `name` with its entry points."""
    path, metadata = folder / "site" / module, folder / "site" / f"{name}-1.0.dist-info"
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata.mkdir()
    if "/" in module:
        (path.parent / "__init__.py").touch()
    path.write_text(code)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(points)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "site"), str(ROOT)]))


def register_as_told(folder: Path, monkeypatch: pytest.MonkeyPatch, page: str, module: str) -> None:
    """What a how-to shows: the Python block that begins with `# MODULE`, and the entry points of its toml block."""
    text = (ROOT / page).read_text(encoding="utf-8")
    code = re.search(rf"```python\n# {re.escape(module)}\n(.*?)```", text, re.DOTALL)
    points = re.search(r'```toml\n\[project.entry-points."(.*?)"\]\n(.*?)```', text, re.DOTALL)
    assert code and points
    entries = f"[{points[1]}]\n{points[2].replace(chr(34), '')}\n"
    register(folder, monkeypatch, module.partition("/")[0], module, code[1], entries)
