"""Sizes that TFLite cannot keep open."""

from __future__ import annotations

from mlpack_edge.core.errors import MlpackError


class SizeMustBeFixed(MlpackError):
    """TFLite cannot keep the size `name` open; the model is lowered again with it fixed to 1. why: said to the user."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"TFLite cannot keep the size {name} open", f"fix it with --shape: {why}", why=why)
        self.name = name
