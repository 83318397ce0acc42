"""A small real model for every registered kind of source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mlpack_edge.converters.sources.source import SourceOptions


@dataclass(frozen=True)
class Sample:
    """The name to open it by, and the options that it needs."""

    name: str
    options: SourceOptions = field(default_factory=SourceOptions)


ROWS = np.random.default_rng(1).normal(size=(200, 4))
LABELS = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0.5)


def skops(folder: Path) -> Sample:
    import skops.io
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    skops.io.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS), folder / "m.skops")
    return Sample(str(folder / "m.skops"))


def pickle(folder: Path) -> Sample:
    import joblib
    from sklearn.ensemble import RandomForestRegressor

    joblib.dump(RandomForestRegressor(5, random_state=0).fit(ROWS, ROWS[:, 2]), folder / "m.joblib", compress=3)
    return Sample(str(folder / "m.joblib"), SourceOptions(trust_pickle=True))


def _xgboost(folder: Path, suffix: str) -> Sample:
    import xgboost

    xgboost.XGBClassifier(n_estimators=4, n_jobs=1).fit(ROWS, LABELS).save_model(folder / f"m.{suffix}")
    return Sample(str(folder / f"m.{suffix}"))


def lightgbm(folder: Path) -> Sample:
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1).fit(ROWS, LABELS)
    model.booster_.save_model(folder / "m.txt")
    return Sample(str(folder / "m.txt"))


def catboost(folder: Path) -> Sample:
    import catboost

    model = catboost.CatBoostRegressor(iterations=4, verbose=0, allow_writing_files=False, thread_count=1)
    model.fit(ROWS, ROWS[:, 2]).save_model(str(folder / "m.cbm"))
    return Sample(str(folder / "m.cbm"))


def torch(folder: Path) -> Sample:
    return Sample("tests.converters.source_samples:net", SourceOptions(shapes={"input": ("batch", 4)}))


def torch_export(folder: Path) -> Sample:
    import torch

    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(net(), (torch.zeros(2, 4),), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "m.pt2")
    return Sample(str(folder / "m.pt2"))


def net():  # type: ignore[no-untyped-def]
    """The module that the sample of kind "torch" names."""
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))


def onnx(folder: Path) -> Sample:
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    model = to_onnx(LogisticRegression().fit(ROWS, LABELS), ROWS[:1].astype(np.float32))
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return Sample(str(folder / "m.onnx"))


SAMPLES: dict[str, Callable[[Path], Sample]] = {
    "skops": skops,
    "pickle": pickle,
    "xgboost-json": lambda folder: _xgboost(folder, "json"),
    "xgboost-ubj": lambda folder: _xgboost(folder, "ubj"),
    "lightgbm": lightgbm,
    "catboost": catboost,
    "torch": torch,
    "torch-export": torch_export,
    "onnx": onnx,
}
