"""NannyML's univariate drift with its default methods: Jensen-Shannon for both kinds, thresholds from the reference's chunks (3
standard deviations), chunks as large as the windows; and its missing values calculator."""

import importlib
import sys
import warnings
from pathlib import Path

# This file has the name of the package.
sys.path = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).parent]
warnings.simplefilter("ignore")
nml = importlib.import_module("nannyml")
sys.path.insert(0, str(Path(__file__).parent))

import pandas as pd
from windows import is_text, peer, without_values


def judge(reference: pd.DataFrame, windows: list[pd.DataFrame]) -> dict[str, list[list[str]]]:
    texts = [name for name in reference if is_text(reference[name])]
    gone = [without_values(frame, texts) for frame in windows]
    # A chunk without a number stops all of them: it is given rows of the reference, and its column counted as an alarm.
    windows = [
        frame.assign(**{name: reference[name].to_numpy()[: len(frame)] for name in lost})
        for frame, lost in zip(windows, gone, strict=True)
    ]
    current = pd.concat(windows, ignore_index=True)
    for frame in (reference, current):
        for name in frame:
            frame[name] = (
                frame[name].astype("category") if name in texts else pd.to_numeric(frame[name], errors="coerce")
            )
    size = len(windows[0])
    made = {}
    columns = list(reference)
    methods = nml.UnivariateDriftCalculator(column_names=columns, treat_as_categorical=texts, chunk_size=size)
    made["NannyML"] = _alarms(methods.fit(reference).calculate(current).to_df(), columns, len(windows))
    missing = nml.MissingValuesCalculator(column_names=columns, chunk_size=size)
    frame = missing.fit(reference).calculate(current).to_df()
    made["NannyML missing"] = _alarms(frame, columns, len(windows))
    made["NannyML"] = [sorted({*seen, *lost}) for seen, lost in zip(made["NannyML"], gone, strict=True)]
    return made


def _alarms(frame: pd.DataFrame, columns: list[str], windows: int) -> list[list[str]]:
    flat = frame[
        frame.iloc[:, next(place for place, name in enumerate(frame.columns) if name[-1] == "period")] == "analysis"
    ]
    found: list[list[str]] = []
    for at in range(windows):
        row = flat.iloc[at]
        found.append(
            sorted(
                {name[0] for name in frame.columns if name[0] in columns and name[-1] == "alert" and bool(row[name])}
            )
        )
    return found


peer(judge)
