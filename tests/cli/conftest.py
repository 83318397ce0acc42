"""Models as users have them, trained once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with plain.skops (scaler and logistic regression on a matrix), table.skops (a data-frame pipeline with
    text columns and a forest), plain.joblib, and holdout.csv for the table."""
    import joblib
    import pandas
    import skops.io
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    folder = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(5)
    rows = random.normal(size=(400, 4))
    target = (rows[:, 0] + rows[:, 1] ** 2 > 0.5).astype(int)
    plain = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, target)
    skops.io.dump(plain, folder / "plain.skops")
    joblib.dump(plain, folder / "plain.joblib")
    frame = pandas.DataFrame(
        {"size": rows[:, 0], "weight": rows[:, 1] * 1000, "city": random.choice(["Köln", "Oslo", "Graz"], 400)}
    )
    encode = make_column_transformer(
        (StandardScaler(), ["size", "weight"]), (OneHotEncoder(handle_unknown="ignore"), ["city"])
    )
    table: Any = make_pipeline(encode, RandomForestClassifier(20, random_state=0))
    table.fit(frame, np.where(target, "ja", "nein"))
    skops.io.dump(table, folder / "table.skops")
    frame.to_csv(folder / "holdout.csv", index=False)
    return folder
