"""Model files that are text or begin like text: XGBoost, LightGBM, safetensors; other texts are named."""

from __future__ import annotations

import re
import struct

from mlpack_edge.runtimes.recognise.foreign import Foreign, by_text
from mlpack_edge.runtimes.recognise.kinds import Kind, Look

#: The longest header that safetensors itself reads.
_MAX_SAFETENSORS_HEADER = 100_000_000
_NO_MODEL = Foreign("a text that holds no model", "name the model file; data is given with --data")
_NO_MODEL_JSON = Foreign(
    "a JSON text that holds no model", "XGBoost models are saved with booster.save_model('model.json')"
)


def boosters_json(look: Look) -> Kind | None:
    """XGBoost's JSON model: an object with `learner` and its parameters (doc/model.schema in XGBoost)."""
    text = look.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb'\{\s*(["}])', text) is None:
        return None
    if b'"learner"' in text and re.search(rb'"(attributes|learner_model_param|gradient_booster|feature_names)"', text):
        if not _ends_whole(look, b'"version"'):
            raise look.cut(Kind.XGBOOST_JSON, "an XGBoost model", "its JSON text has no end")
        return Kind.XGBOOST_JSON
    raise look.refuse(by_text(text) or _NO_MODEL_JSON)


def boosters_ubj(look: Look) -> Kind | None:
    """XGBoost's UBJSON model: an object whose first keys are those of the JSON model."""
    if re.match(rb"\{[iUIlL]\0{0,7}[\x05-\x07](learner|version|Model|Config)", look.head) is None:
        return None
    if not _ends_whole(look, b"version"):
        raise look.cut(Kind.XGBOOST_UBJ, "an XGBoost model", "its UBJSON object has no end")
    return Kind.XGBOOST_UBJ


def _ends_whole(look: Look, key: bytes) -> bool:
    """Whether the object is closed and has XGBoost's last key, the version (other writers may put it first)."""
    end = look.tail(1024).rstrip()
    return end.endswith(b"}") and (key in end or key in look.head[:1024])


def lightgbm(look: Look) -> Kind | None:
    """LightGBM's text model: `tree`, then `version=v...`; its trees end with a line that says so."""
    if re.match(rb"tree\r?\n", look.head) is None or b"version=v" not in look.head[:256]:
        return None
    if re.search(rb"end of (trees|parameters)|pandas_categorical:", look.tail(65536)) is None:
        raise look.cut(
            Kind.LIGHTGBM, "a LightGBM model", "the lines 'end of trees' and 'end of parameters' are missing"
        )
    return Kind.LIGHTGBM


def safetensors(look: Look) -> Kind | None:
    """safetensors: the header's length as u64, the header (JSON), the data; the last offset must be in the file."""
    if len(look.head) < 10 or look.head[8:9] != b"{":
        return None
    (length,) = struct.unpack_from("<Q", look.head)
    if not 2 <= length <= _MAX_SAFETENSORS_HEADER or re.match(rb'\{\s*["}]', look.head[8:40]) is None:
        return None
    if 8 + length > look.size:
        raise look.cut(
            Kind.SAFETENSORS, "a safetensors file", f"its header has {length:,} bytes, the file {look.size:,}"
        )
    end = look.read(8 + max(0, length - 4096), min(length, 4096))
    if not end.rstrip(b" ").endswith(b"}"):
        raise look.cut(Kind.SAFETENSORS, "a safetensors file", "its header is no JSON object")
    ends = [int(number) for number in re.findall(rb'"data_offsets"\s*:\s*\[\s*\d{1,19}\s*,\s*(\d{1,19})\s*\]', end)]
    if ends and 8 + length + max(ends) > look.size:
        needed = 8 + length + max(ends)
        raise look.cut(
            Kind.SAFETENSORS, "a safetensors file", f"its tensors need {needed:,} bytes, the file has {look.size:,}"
        )
    return Kind.SAFETENSORS


def other_text(look: Look) -> Kind | None:
    """Name texts that are no model; a file with control characters is none."""
    head = look.head.removeprefix(b"\xef\xbb\xbf")
    if re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", head) is not None:
        return None
    foreign = by_text(head)
    if foreign is not None:
        raise look.refuse(foreign)
    if not _is_utf8(head):
        return None
    if head.lstrip()[:1] == b"<":
        raise look.refuse(Foreign("an XML text", _NO_MODEL.hint))
    return None


def plain_text(look: Look) -> Kind | None:
    """The last word on texts, after the text form of pickle."""
    if re.fullmatch(rb"[\t\n\r\x20-\x7e\x80-\xff]{4,}", look.head) is None or b"\n" not in look.head:
        return None
    if not _is_utf8(look.head):
        return None
    raise look.refuse(_NO_MODEL)


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as fault:
        return fault.start >= len(head) - 4  # the reading may have cut the last character in two
    return True
