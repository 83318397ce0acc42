"""Bare XGBoost, LightGBM and CatBoost models to ONNX."""
