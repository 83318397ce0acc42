"""`ethos-u:` with the real vela, on files that the converter made; and what stands in its way."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import onnx
import pytest

from mlpack_edge.core.errors import BadInput, MissingExtra, MlpackError, Unsupported, WorkerFault
from mlpack_edge.devices.ethos_u import EthosUTarget
from mlpack_edge.devices.targets.target import Refused, TargetOptions
from mlpack_edge.runtimes.measuring.comparison import compare
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel, prepare
from mlpack_edge.runtimes.measuring.result import BenchResult
from mlpack_edge.runtimes.measuring.stored import result_from_json
from tests.converters.tflite_from_onnx.lowered import lower
from tests.converters.tflite_from_onnx.quantized_nets import NETS, quantized

_BESIDE = Path(sys.executable).with_name("vela")
needs_vela = pytest.mark.skipif(
    not (_BESIDE.is_file() or shutil.which("vela")), reason="vela is not installed (pip install ethos-u-vela)"
)
PLAN = Plan(time_limit=60)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """TFLite files of the nets, int8 and float, with an open batch as the converter leaves it."""
    folder = tmp_path_factory.mktemp("nets")
    made = {}
    for name, model in {
        "cnn int8": quantized("cnn", "qdq s8s8 per channel"), "mlp int8": quantized("mlp", "qdq s8s8 per channel"),
        "cnn float": NETS["cnn"][0](),
    }.items():  # fmt: skip
        made[name] = folder / f"{name.replace(' ', '_')}.tflite"
        made[name].write_bytes(lower(model).data)
    return made


def _benched(target: EthosUTarget, *models: PreparedModel, plan: Plan = PLAN) -> list[Any]:
    try:
        return list(target.bench(models, plan))
    finally:
        target.close()


def _script(folder: Path, body: str) -> Path:
    path = folder / "vela"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && {{ echo 5.2.0; exit; }}\n{body}\n')
    path.chmod(0o755)
    return path


def _file(folder: Path, name: str = "net.tflite", format: str = "tflite") -> PreparedModel:
    path = folder / name
    path.write_bytes(b"no model")
    return PreparedModel(str(path), path, format, "0", 8, (), 1, ({},), "")


@needs_vela
def test_an_int8_model_has_cycles_memory_and_the_share_left_on_the_cpu(files: dict[str, Path]) -> None:
    (result,) = _benched(EthosUTarget("", TargetOptions()), prepare(files["mlp int8"]))
    assert isinstance(result, BenchResult)
    record = result.to_json()
    assert record["target"] == "ethos-u:ethos-u55-128"
    estimate = record["estimate"]
    assert estimate["macs"] == 20 * 32 + 32 * 16 + 16 * 3
    assert (
        estimate["cycles"] > 0 and estimate["sram_bytes"] > 0 and estimate["flash_bytes"] > estimate["macs"]
    )  # a byte a weight
    # The model's ends are float32 in the source; from float to codes and back runs on the CPU.
    assert estimate["cpu_operators"] >= 2 and 0 < estimate["cpu_share"] < 1
    assert {"QUANTIZE", "DEQUANTIZE"} <= {one["op"] for one in record["estimate"]["left_on_cpu"]}
    assert record["estimate"]["covers"] == "the part on the NPU"
    assert (
        record["environment"]["frequency_mhz"] == 500.0 and record["environment"]["runtime"]["name"] == "ethos-u-vela"
    )


@needs_vela
def test_an_estimate_speaks_of_no_time(files: dict[str, Path]) -> None:
    (result,) = _benched(EthosUTarget("ethos-u55-128", TargetOptions()), prepare(files["cnn int8"]))
    record = result.to_json()
    for key in (
        "latency_ns",
        "isolated_ns",
        "ci95_ns",
        "first_call_ns",
        "load_ns",
        "clean_share",
        "verdict",
        "harness_floor_ns",
    ):
        assert record[key] is None, key
    assert record["launches"] == [] and record["instructions"] is None


@needs_vela
def test_a_larger_accelerator_takes_fewer_cycles_and_the_same_run_gives_the_same(files: dict[str, Path]) -> None:
    model = prepare(files["cnn int8"])
    cycles = [
        _benched(EthosUTarget(config, TargetOptions()), model)[0].to_json()["estimate"]["cycles"]
        for config in ("ethos-u55-32", "ethos-u55-256", "ethos-u55-256")
    ]
    assert cycles[0] > cycles[1] == cycles[2]


@needs_vela
def test_a_float_model_is_unsupported_and_the_others_go_on(files: dict[str, Path], tmp_path: Path) -> None:
    source = tmp_path / "net.onnx"
    onnx.save(NETS["mlp"][0](), source)
    models = [prepare(files["cnn float"]), prepare(source), prepare(files["mlp int8"]), prepare(files["cnn int8"])]
    floating, graph, good, other = _benched(EthosUTarget("", TargetOptions()), *models)
    assert isinstance(floating, Refused) and isinstance(floating.error, Unsupported)
    assert "CONV_2D" in floating.error.message and "Float32" in floating.error.why and "int8" in floating.error.hint
    assert isinstance(graph, Refused) and "mlpack convert" in graph.error.hint
    assert isinstance(good, BenchResult) and isinstance(other, BenchResult)
    compared = compare(good, other, paired=True)
    cycles = [one.to_json()["estimate"]["cycles"] for one in (good, other)]
    assert compared.view == "cycles" and compared.ratio == cycles[1] / cycles[0]
    assert result_from_json(good.to_json()).to_json() == good.to_json()


@needs_vela
def test_a_batch_that_vela_would_take_as_one_is_refused(files: dict[str, Path]) -> None:
    (refused,) = _benched(EthosUTarget("", TargetOptions()), prepare(files["mlp int8"], batch=8))
    assert isinstance(refused, Refused) and "which is to be 8" in refused.error.message


@needs_vela
@pytest.mark.parametrize(
    ("block", "kind"),
    [(b"", Unsupported), (b"no model at all", Unsupported), ("cut", WorkerFault)],
)  # fmt: skip
def test_a_damaged_file_ends_the_child_and_no_more(
    block: bytes | str, kind: type[MlpackError], files: dict[str, Path], tmp_path: Path
) -> None:
    """vela 5.2.0 dies with SIGSEGV on a file that is cut off."""
    model = _file(tmp_path)
    whole = files["cnn int8"].read_bytes()
    model.path.write_bytes(whole[: len(whole) // 2] if isinstance(block, str) else block)
    (refused,) = _benched(EthosUTarget("", TargetOptions()), model)
    assert isinstance(refused, Refused) and isinstance(refused.error, kind) and refused.error.hint


def test_a_vela_that_hangs_is_stopped_with_what_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script = _script(tmp_path, f"(sleep 2; touch {mark}) & sleep 60")
    (refused,) = _benched(EthosUTarget("", TargetOptions(vela=script)), _file(tmp_path), plan=Plan(time_limit=0.5))
    assert isinstance(refused, Refused) and "after 0.5 s" in refused.error.message
    time.sleep(2.5)
    assert not mark.exists()


def test_a_vela_that_takes_too_much_memory_is_stopped(tmp_path: Path) -> None:
    script = _script(tmp_path, f'exec {sys.executable} -c "b = bytearray(400_000_000)"')
    plan = Plan(time_limit=30, memory_bytes=200_000_000)
    (refused,) = _benched(EthosUTarget("", TargetOptions(vela=script)), _file(tmp_path), plan=plan)
    assert isinstance(refused, Refused) and "ran out of memory" in refused.error.message


def test_another_program_of_that_name_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "vela"
    path.write_text("#!/bin/sh\necho 'The KubeVela CLI'\n")
    path.chmod(0o755)
    with pytest.raises(BadInput, match="is not Arm's vela") as caught:
        EthosUTarget("", TargetOptions(vela=path)).describe()
    assert "KubeVela" in caught.value.why


def test_no_vela_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(MissingExtra) as caught:
        EthosUTarget("", TargetOptions()).describe()
    assert "pip install" in caught.value.hint
    with pytest.raises(BadInput, match="is no file"):
        EthosUTarget("", TargetOptions(vela=tmp_path / "absent")).describe()


def test_what_an_estimate_cannot_give_is_refused(tmp_path: Path) -> None:
    target = EthosUTarget("", TargetOptions())
    for ask in (target.profile, target.outputs):
        with pytest.raises(Unsupported):
            ask(_file(tmp_path), PLAN)
