"""Load and run XGBoost, LightGBM and CatBoost models as the reference."""
