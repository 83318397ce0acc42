"""What each peer's script is given: a pickle of the reference and of the windows, columns by name; texts as objects."""

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

Judge = Callable[[pd.DataFrame, list[pd.DataFrame]], dict[str, list[list[str]]]]


def peer(judge: Judge) -> None:
    """Prints, by detector, the columns that alarm in each window."""
    job = pickle.loads(Path(sys.argv[1]).read_bytes())
    reference, *windows = (pd.DataFrame(dict(table)) for table in (job["reference"], *job["windows"]))
    print(json.dumps(judge(reference, windows)))


def is_text(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column)


def without_values(frame: pd.DataFrame, texts: list[str]) -> list[str]:
    """Columns of numbers in which no number is left: detectors raise for them, which nobody overlooks, so it counts as an alarm."""
    numbers = [name for name in frame if name not in texts]
    return [name for name in numbers if pd.to_numeric(frame[name], errors="coerce").isna().all()]
