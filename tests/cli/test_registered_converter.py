"""The how-to for own steps, followed to the letter: its code, registered as a package registers it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.mlpack import mlpack, mlpack_json

PAGE = Path(__file__).parents[2] / "docs/how-to/register-a-converter.md"

ENCODERS = """
from sklearn.base import BaseEstimator, TransformerMixin


class Ratio(TransformerMixin, BaseEstimator):
    def __init__(self, mode="plain"):
        self.mode = mode

    def fit(self, X, y=None):
        self.base_ = X.max(axis=0)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X / self.base_
"""

TRAIN = """
import sys
import joblib, numpy
from acme.encoders import Ratio
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
X = numpy.random.default_rng(0).normal(size=(200, 3))
model = Pipeline([("encode", Ratio(mode=sys.argv[2])), ("model", LogisticRegression())]).fit(X, X[:, 0] > 0)
joblib.dump(model, sys.argv[1])
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package acme and models that use its step."""
    package = tmp_path / "site" / "acme"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "encoders.py").write_text(ENCODERS)
    code = re.search(r"```python\n# acme/mlpack_converters.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    (package / "mlpack_converters.py").write_text(code[1])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    for mode in ("plain", "log"):
        line = [sys.executable, "-c", TRAIN, str(tmp_path / f"{mode}.joblib"), mode]
        subprocess.run(line, check=True)
    return tmp_path


def _register(folder: Path) -> None:
    points = re.search(r"```toml\n(\[project.entry-points.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert points
    metadata = folder / "site" / "acme-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    name, value = re.findall(r'^"(.*)" = "(.*)"$', points[1], re.MULTILINE)[0]
    (metadata / "entry_points.txt").write_text(f"[mlpack_edge.steps]\n{name} = {value}\n")


@pytest.mark.long
def test_an_own_step_is_refused_by_name_and_converts_once_registered(acme: Path) -> None:
    words = ["convert", acme / "plain.joblib", "--trust-pickle", "-o", acme / "o.onnx"]
    code, document = mlpack_json(*words)
    assert code == 1
    assert (
        document["error"]["message"] == "step 'encode' (acme.encoders.Ratio) at pipeline.steps[0] cannot be converted"
    )
    _register(acme)
    code, document = mlpack_json(*words)
    assert code == 0, document
    assert document["parity"]["passed"]
    listed = mlpack("convert", "--list-supported").stdout
    assert "acme.encoders.Ratio" in listed
    refused = mlpack("convert", acme / "log.joblib", "--trust-pickle", "-o", acme / "p.onnx")
    assert refused.returncode == 1 and "mode='log' is not converted" in refused.stderr
