"""Evidently's DataDriftPreset with its defaults: a test or distance chosen by the column's kind and the rows of the reference."""

import importlib
import sys
import warnings
from pathlib import Path

# This file has the name of the package.
sys.path = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).parent]
warnings.simplefilter("ignore")
evidently = importlib.import_module("evidently")
presets = importlib.import_module("evidently.presets")
sys.path.insert(0, str(Path(__file__).parent))

import pandas as pd
from windows import is_text, peer, without_values


def judge(reference: pd.DataFrame, windows: list[pd.DataFrame]) -> dict[str, list[list[str]]]:
    texts = [name for name in reference if is_text(reference[name])]
    numbers = [name for name in reference if name not in texts]
    kinds = evidently.DataDefinition(numerical_columns=numbers, categorical_columns=texts)

    def dataset(frame: pd.DataFrame) -> object:
        made = frame.copy()
        for name in numbers:
            made[name] = pd.to_numeric(made[name], errors="coerce")
        return evidently.Dataset.from_pandas(made, data_definition=kinds)

    known = dataset(reference)
    found = []
    for frame in windows:
        gone = without_values(frame, texts)
        report = evidently.Report([presets.DataDriftPreset(columns=[name for name in reference if name not in gone])])
        said = report.run(dataset(frame), known).dict()
        found.append(gone + [name for metric in said["metrics"] for name in _drifted(metric)])
    return {"Evidently": found}


def _drifted(metric: dict) -> list[str]:
    config = metric.get("config", {})
    if not config.get("type", "").endswith("ValueDrift"):
        return []
    value, threshold, method = float(metric["value"]), config["threshold"], config["method"]
    below = "p_value" in method or "p-value" in method or "chi-square" in method
    return [config["column"]] if (value < threshold if below else value >= threshold) else []


peer(judge)
