"""The model files mlpack takes, and an open file of which nobody knows yet what it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.recognise.foreign import Foreign

#: Bytes read at the beginning of a file.
HEAD = 8192
AGAIN = "copy or download it again, and compare sizes"


class Kind(StrEnum):
    """The model files mlpack takes."""

    ONNX = "onnx"
    TFLITE = "tflite"
    SKOPS = "skops"
    #: Also joblib's, compressed or not. Opening it runs code that is in the file.
    PICKLE = "pickle"
    XGBOOST_JSON = "xgboost-json"
    XGBOOST_UBJ = "xgboost-ubj"
    LIGHTGBM = "lightgbm"
    CATBOOST = "catboost"
    TORCH_EXPORT = "torch-export"
    TORCH_CHECKPOINT = "torch-checkpoint"
    SAFETENSORS = "safetensors"


@dataclass(frozen=True, slots=True)
class Look:
    """An open file: its first bytes and a way to read more. `name` is for messages."""

    name: str
    stream: BinaryIO
    size: int
    head: bytes

    def read(self, offset: int, count: int) -> bytes:
        self.stream.seek(offset)
        return self.stream.read(count)

    def tail(self, count: int) -> bytes:
        return self.read(max(0, self.size - count), count)

    def refuse(self, what: Foreign) -> BadInput:
        return BadInput(f"{self.name} is {what.what}, which mlpack does not take", what.hint)

    def cut(self, kind: Kind, what: str, why: str) -> BadInput:
        return BadInput(f"{self.name} is {what} that is cut short or damaged", AGAIN, why=why, format=str(kind))
