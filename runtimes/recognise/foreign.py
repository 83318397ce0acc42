"""Names for files that are no model mlpack takes, and what to do with each: by their first bytes or their members."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Foreign:
    """what: completes "the file is ...". hint: what to do next."""

    what: str
    hint: str


_ASK_ONNX = "export it to ONNX with the framework it comes from, then give mlpack the .onnx file"
_DATA = "give it with --data; the model is another file"
_KERAS = Foreign(
    "a Keras model (HDF5)",
    "export it to ONNX where TensorFlow is installed: keras.models.load_model(...).export('model.onnx', format='onnx')",
)

#: First bytes -> what it is. Longer beginnings before shorter ones.
BEGINNINGS: tuple[tuple[bytes, Foreign], ...] = (
    (b"\x89HDF\r\n\x1a\n", _KERAS),
    (b"GGUF", Foreign("a GGUF language model of llama.cpp", "run it with llama.cpp; mlpack takes ONNX")),
    (b"binf", Foreign("XGBoost's old binary form", "load it with xgboost<3.1 and save it as .json or .ubj")),
    (b"\x93NUMPY", Foreign("a NumPy array", _DATA)),
    (b"PAR1", Foreign("a Parquet table", _DATA)),
    (b"ARROW1", Foreign("an Arrow table", _DATA)),
    (b"SQLite format 3\0", Foreign("an SQLite database", _DATA)),
    (b"version https://git-lfs", Foreign("a Git LFS pointer, not the file it points to", "git lfs pull")),
    (b"\x7fELF", Foreign("a program or shared library", "name the model file")),
    (b"MZ", Foreign("a Windows program or library", "name the model file")),
    (b"%PDF", Foreign("a PDF document", "name the model file")),
    (b"\x89PNG", Foreign("a picture", _DATA)),
    (b"ftrt", Foreign("a TensorRT engine, which runs on one GPU model only", "give mlpack the ONNX file it was built from")),
    (b"ptrt", Foreign("a TensorRT engine, which runs on one GPU model only", "give mlpack the ONNX file it was built from")),
    (b"7767517", Foreign("an ncnn network", _ASK_ONNX)),
)  # fmt: skip

#: Flatbuffer identifiers at byte 4.
IDENTIFIERS: dict[bytes, Foreign] = {
    b"ORTM": Foreign("a model in ONNX Runtime's own form (.ort)", "give mlpack the .onnx file it was made from"),
    b"ET12": Foreign("an ExecuTorch program", "give mlpack the exported program (.pt2) it was made from"),
    b"MNNR": Foreign("an MNN network", _ASK_ONNX),
}

#: A text within the first bytes of an XML, JSON or other text -> what it is.
TEXTS: tuple[tuple[bytes, Foreign], ...] = (
    (b"<PMML", Foreign("a PMML model", "convert the scikit-learn, R or Spark model it was made from instead")),
    (b"<net name=", Foreign("an OpenVINO network", "give mlpack the model it was made from")),
    (b"<!doctype html", Foreign("a web page; the download gave a page in place of the file", "download it again")),
    (b"<html", Foreign("a web page; the download gave a page in place of the file", "download it again")),
    (b'"oblivious_trees"', Foreign("a CatBoost model as JSON", "save it with model.save_model('model.cbm')")),
    (b'"float_features_index"', Foreign("a CatBoost model as JSON", "save it with model.save_model('model.cbm')")),
    (b'"features_info"', Foreign("a CatBoost model as JSON", "save it with model.save_model('model.cbm')")),
    (b'"name": "tree"', Foreign("a dump of a LightGBM model", "save it with booster.save_model('model.txt')")),
    (b'"nodeid"', Foreign("a dump of an XGBoost model", "save it with booster.save_model('model.json')")),
    (b'"weightsmanifest"', Foreign("a TensorFlow.js model", _ASK_ONNX)),
    (b'"class_name"', Foreign("a Keras architecture without weights", _KERAS.hint)),
    (b'"irversion"', Foreign("an ONNX model as JSON text", "write it as binary: onnx.save(onnx.load(FILE, format='json'), 'model.onnx')")),
    (b"ir_version:", Foreign("an ONNX model as text", "write it as binary: onnx.save(onnx.load(FILE, format='textproto'), 'model.onnx')")),
    (b"<ir_version", Foreign("an ONNX model as text", "write it as binary: onnx.save(onnx.parser.parse_model(TEXT), 'model.onnx')")),
    (b"\nbooster[0]:", Foreign("a dump of an XGBoost model", "save it with booster.save_model('model.json')")),
)  # fmt: skip


def by_beginning(head: bytes) -> Foreign | None:
    """What a file is by its first bytes, where that is no model mlpack takes."""
    for beginning, foreign in BEGINNINGS:
        if head.startswith(beginning):
            return foreign
    if head[4:8] in IDENTIFIERS:
        return IDENTIFIERS[head[4:8]]
    if len(head) > 262 and head[257:262] == b"ustar":
        return Foreign("a tar archive", "unpack it and name the model file inside")
    return None


def by_text(head: bytes) -> Foreign | None:
    """What a text is by the words in its first bytes."""
    lower = head.lower()
    return next((foreign for words, foreign in TEXTS if words.lower() in lower), None)


def by_members(names: Collection[str]) -> Foreign:
    """What a zip archive is that is no model mlpack takes (`names`: its members)."""
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return Foreign(
            "a TorchScript archive",
            "export the module it was made from: torch.export.save(torch.export.export(module, args), 'model.pt2')",
        )
    if "model.weights.h5" in names:
        return Foreign("a Keras model (.keras)", _KERAS.hint)
    if names and all(name.endswith(".npy") for name in names):
        return Foreign("an archive of NumPy arrays", _DATA)
    if "MAR-INF/MANIFEST.json" in names:
        return Foreign("a TorchServe archive", "unpack it and name the weights inside with --weights")
    if "xl/workbook.xml" in names:
        return Foreign("a spreadsheet", "save it as CSV or Parquet and give it with --data")
    if any(name.endswith("saved_model.pb") for name in names):
        return Foreign("an archive with a TensorFlow SavedModel", SAVED_MODEL.hint)
    models = sorted(name for name in names if name.endswith((".onnx", ".tflite", ".pkl", ".joblib", ".skops")))
    if models:
        return Foreign(f"a zip archive with {models[0]!r} inside", "unpack it and name the model file")
    return Foreign("a zip archive that holds no model", "name the model file itself")


SAVED_MODEL = Foreign(
    "a TensorFlow SavedModel",
    "export it to ONNX where TensorFlow is installed: python -m tf2onnx.convert --saved-model DIR --output model.onnx",
)

#: A file that marks a directory -> what the directory is.
DIRECTORIES: tuple[tuple[str, Foreign], ...] = (
    ("saved_model.pb", SAVED_MODEL),
    ("MLmodel", Foreign("an MLflow model directory", "name the model file inside it (model.onnx, model.skops, model.pkl)")),
    ("Manifest.json", Foreign("a Core ML package", "give mlpack the model it was made from")),
    ("model.safetensors", Foreign("a directory of weights", "give the module as package.module:attribute and the file with --weights")),
    ("data.pkl", Foreign("an unpacked PyTorch checkpoint", "save it again with torch.save(module.state_dict(), 'weights.pt')")),
    ("model.onnx", Foreign("a directory", "name the file model.onnx inside it")),
)  # fmt: skip
