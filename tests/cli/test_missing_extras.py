"""Without an extra, one line says which one installs it; what does not need it goes on working."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.mlpack import mlpack

#: Python imports this module at every start; here it makes packages look absent, in child processes too.
SITE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def without(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A function that gives the environment in which packages are absent."""

    def make(*names: str) -> dict[str, str]:
        folder = tmp_path / "site"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(SITE.format(names=set(names)))
        return {"PYTHONPATH": str(folder)}

    return make


@pytest.mark.parametrize(
    ("absent", "file", "line"),
    [
        (("skops",), "plain.skops", "pip install 'mlpack-edge[sklearn]'"),
        (("sklearn", "skops", "skl2onnx"), "plain.skops", "pip install 'mlpack-edge[sklearn]'"),
        (("lightgbm",), "trees.txt", "pip install 'mlpack-edge[boosters]'"),
        (("torch",), "math:pi", "pip install 'mlpack-edge[torch]'"),
    ],
)
def test_a_missing_extra_is_one_line(
    absent: tuple[str, ...], file: str, line: str, models: Path, tmp_path: Path, without
) -> None:  # type: ignore[no-untyped-def]
    if file == "trees.txt":
        _lightgbm(models / file)
    source = file if ":" in file else str(models / file)
    done = mlpack("convert", source, "-o", tmp_path / "o.onnx", **without(*absent))
    assert done.returncode == 1
    assert line in done.stderr, done.stderr
    assert not (tmp_path / "o.onnx").exists()


def test_doctor_and_inspect_need_no_extra(models: Path, tmp_path: Path, without) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "plain.onnx"
    assert mlpack("convert", models / "plain.skops", "-o", out).returncode == 0
    environment = without("sklearn", "skl2onnx", "skops", "pandas", "torch", "xgboost", "lightgbm", "catboost", "scipy")
    assert mlpack("inspect", out, **environment).returncode == 0
    assert mlpack("doctor", **environment).returncode == 0


def _lightgbm(path: Path) -> None:
    import lightgbm
    import numpy as np

    rows = np.random.default_rng(0).normal(size=(100, 3))
    model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(rows, rows[:, 0])
    model.booster_.save_model(path)


def test_doctor_names_a_runtime_that_does_not_run(without) -> None:  # type: ignore[no-untyped-def]
    done = mlpack("doctor", **without("ai_edge_litert"))
    assert done.returncode == 3
    assert "litert does not run: ai-edge-litert: No module named 'ai_edge_litert'" in done.stderr
