"""Load and run fitted scikit-learn estimators as the reference."""
