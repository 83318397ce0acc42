"""What a user names is loaded, or refused by name; what is in a file never runs."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpack_edge.converters.onnx_from_torch.convert import TorchOptions, prepare
from mlpack_edge.core.errors import BadInput, MlpackError, Unsupported, Untrusted
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.onnxruntime import open_session, run
from mlpack_edge.runtimes.torch.module import bare_weights, load_module, run_module
from mlpack_edge.runtimes.torch.pickle_scan import COMPUTED, globals_of
from mlpack_edge.runtimes.torch.program import forced_weights_only, load_program
from mlpack_edge.runtimes.torch.weights import load_weights, put_weights

torch = pytest.importorskip("torch", reason="the extra [torch] is not installed")
nets = pytest.importorskip("tests.converters.torch_nets")
hostile = pytest.importorskip("tests.converters.hostile_pt2")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore:.*:UserWarning:torch.*")]

CODE = """
import torch


class Net(torch.nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.layer = torch.nn.Linear(width, 2)

    def forward(self, x):
        return self.layer(x)


class Zoo:
    small = Net()


def build():
    print("building")
    return Net()


def wide():
    return Net(width=5)


def broken():
    return undefined_name


def wants(size):
    return Net(size)


def number():
    return 3


def weights():
    return Net().state_dict()


leaves = lambda: exit(3)
ready = Net()
count = 3
"""


@pytest.fixture()
def package(tmp_path: Path) -> Iterator[Path]:
    """A directory with the user's own module, forgotten again afterwards."""
    (tmp_path / "users_nets.py").write_text(CODE)
    before = list(sys.path)
    yield tmp_path
    sys.path[:] = before
    sys.modules.pop("users_nets", None)


def marker(path: Path) -> str:
    return f"__import__('pathlib').Path({str(path)!r}).touch() or 3"


def state(width: int = 4) -> dict[str, Any]:
    torch.manual_seed(1)
    return {"layer.weight": torch.randn(2, width), "layer.bias": torch.randn(2)}


# package.module:attribute


@pytest.mark.parametrize("attribute", ["Net", "build", "ready", "Zoo.small"])
def test_a_module_a_class_and_a_callable_can_be_named(package: Path, attribute: str) -> None:
    module = load_module(f"users_nets:{attribute}", directory=package)
    assert type(module).__name__ == "Net" and not module.training


def test_what_the_users_code_prints_stays_off_standard_output(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_module("users_nets:build", directory=package)
    captured = capsys.readouterr()
    assert captured.out == "" and "building" in captured.err


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("users_nets:broken", r"fails at .*users_nets.py:\d+: NameError"),
        ("users_nets:wants", "TypeError"),
        ("users_nets:leaves", "SystemExit"),
        ("users_nets:number", "gives a int, no PyTorch module"),
        ("users_nets:count", "is a int, no PyTorch module"),
        ("users_nets:weights", "state dict, which has no code"),
        ("users_nets:missing", "has no attribute missing"),
        ("absent_nets:build", "no Python module absent_nets"),
        ("users_nets", "names no PyTorch module"),
        ("users nets:build", "names no PyTorch module"),
    ],
)
def test_what_cannot_be_loaded_is_one_clear_error(package: Path, source: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        load_module(source, directory=package)
    assert caught.value.hint


def test_a_missing_attribute_is_told_what_there_is(package: Path) -> None:
    with pytest.raises(BadInput) as caught:
        load_module("users_nets:Nett", directory=package)
    assert "Net" in caught.value.hint and "build" in caught.value.hint


def test_an_import_that_fails_inside_the_users_code_is_the_users_error(package: Path) -> None:
    (package / "users_nets.py").write_text("import not_there_at_all\n")
    with pytest.raises(BadInput, match=r"users_nets.py:1: ModuleNotFoundError: No module named 'not_there_at_all'"):
        load_module("users_nets:build", directory=package)


def test_a_module_that_finds_no_memory_does_not_refuse_its_rows() -> None:
    """MemoryError, of which the worker makes the error that names --memory-limit."""

    class Wide(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x + torch.empty(1 << 50)

    signature = Signature((TensorSpec("x", "float32", ("batch", 1)),), (TensorSpec("output", "float32", ("batch", 1)),))
    with pytest.raises(MemoryError, match="allocate memory"):
        run_module(Wide(), signature, {"x": np.ones((2, 1), np.float32)})


def test_the_reference_runs_in_eval_mode_without_gradients_and_leaves_the_feeds_alone() -> None:
    class Drops(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            x += 1
            return torch.nn.functional.dropout(x, 0.5, self.training)

    signature = Signature((TensorSpec("x", "float32", ("batch", 2)),), (TensorSpec("output", "float32", ("batch", 2)),))
    feeds = {"x": np.ones((3, 2), np.float32)}
    made = run_module(Drops().eval(), signature, feeds)
    np.testing.assert_array_equal(made["output"], np.full((3, 2), 2, np.float32))
    np.testing.assert_array_equal(feeds["x"], 1)


# --weights


def safetensors_file(path: Path) -> None:
    from safetensors.torch import save_file

    save_file(state(), path)


WEIGHT_FILES = {
    "safetensors": safetensors_file,
    "state dict": lambda path: torch.save(state(), path),
    "legacy form": lambda path: torch.save(state(), path, _use_new_zipfile_serialization=False),
    "checkpoint": lambda path: torch.save({"epoch": 3, "state_dict": state(), "optimizer": {"lr": 0.1}}, path),
    "model key": lambda path: torch.save({"model": state()}, path),
    "DataParallel": lambda path: torch.save({f"module.{key}": tensor for key, tensor in state().items()}, path),
    "compiled": lambda path: torch.save({f"_orig_mod.{key}": tensor for key, tensor in state().items()}, path),
}


@pytest.mark.parametrize("form", WEIGHT_FILES)
def test_weights_are_known_by_content_and_put_in(package: Path, form: str) -> None:
    path = package / "weights.bin"
    WEIGHT_FILES[form](path)
    module = load_module("users_nets:Net", path, directory=package)
    for key, tensor in state().items():
        assert torch.equal(module.state_dict()[key], tensor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer.bias": None}, "missing: layer.bias"),
        ({"head.weight": 1}, "unexpected: head.weight"),
        ({"layer.weight": 5}, r"layer.weight is \[2, 5\], the module has \[2, 4\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(package: Path, change: dict[str, Any], message: str) -> None:
    weights = state()
    for key, width in change.items():
        weights.pop(key, None)
        if width:
            weights[key] = torch.zeros(2, width)
    torch.save(weights, package / "w.pt")
    before = load_module("users_nets:ready", directory=package).layer.bias.clone()
    with pytest.raises(BadInput, match=message):
        load_module("users_nets:ready", package / "w.pt", directory=package)
    assert torch.equal(load_module("users_nets:ready", directory=package).layer.bias, before)


def test_a_tied_tensor_may_be_stored_once() -> None:
    module = nets.Tied()
    weights = {"words.weight": torch.randn(7, 4)}
    put_weights(module, weights, "w.safetensors")
    assert torch.equal(module.head.weight, weights["words.weight"])


@pytest.mark.parametrize("legacy", [False, True])
def test_a_state_dict_that_would_run_code_is_refused_and_does_not(tmp_path: Path, legacy: bool) -> None:
    path, mark = tmp_path / "weights.pt", tmp_path / "ran"
    torch.save({"w": hostile.Runs(marker(mark))}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(Untrusted, match="weights_only=False") as caught:
        load_weights(path)
    assert "eval" in caught.value.why and not mark.exists()


def test_a_plain_pickle_as_weights_does_not_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "weights.pt", tmp_path / "ran"
    path.write_bytes(pickle.dumps(hostile.Runs(marker(mark)), 2))
    with pytest.raises(MlpackError):
        load_weights(path)
    assert not mark.exists()


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"epoch": 3}, path)
    with pytest.raises(BadInput, match="holds no tensors by name"):
        load_weights(path)
    torch.save(state(), path)
    data = path.read_bytes()
    for cut in (0, 10, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:cut])
        with pytest.raises(BadInput):
            load_weights(path)


def test_weights_alone_are_no_model() -> None:
    assert "--weights net.pt" in bare_weights(Path("net.pt")).hint


# .pt2


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    example = torch.randn(3, 4)
    sizes = ({0: torch.export.Dim("batch")},)
    path = tmp_path_factory.mktemp("pt2") / "mlp.pt2"
    torch.export.save(torch.export.export(nets.Mlp().eval(), (example,), dynamic_shapes=sizes), path)
    return path


def test_a_program_is_opened_and_converted_with_its_own_shapes(program: Path) -> None:
    opened = load_program(program)
    prepared = prepare(opened, TorchOptions())
    model, signature = prepared.lower()
    assert signature.inputs == (TensorSpec("x", "float32", ("batch", 4)),)
    session = open_session(model.SerializeToString())
    for batch in (1, 2, 7):
        feeds = {"x": np.random.default_rng(batch).standard_normal((batch, 4)).astype(np.float32)}
        expected = run_module(opened, signature, feeds)["output"]
        np.testing.assert_allclose(run(session, feeds)["output"], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(BadInput, match="takes x as batchx4"):
        prepare(opened, TorchOptions({"x": ("batch", 5)}))


def test_programs_with_control_flow_constants_and_ids_are_opened(tmp_path: Path) -> None:
    """What torch writes itself passes the checks: branches, lifted constants, non-persistent buffers, embeddings."""
    auto = torch.export.Dim.AUTO
    for number, (net, example) in enumerate(
        [
            (nets.Chosen(), torch.randn(3, 2)),
            (nets.Tokens(), torch.randint(0, 50, (3, 5))),
            (nets.Named(), torch.ones(3, 2)),
        ]
    ):
        path = tmp_path / f"{number}.pt2"
        torch.export.save(torch.export.export(net.eval(), (example,), dynamic_shapes=({0: auto},)), path)
        inputs = prepare(load_program(path), TorchOptions()).inputs
        assert inputs.specs[0].shape[0] == "batch"
    assert prepare(load_program(tmp_path / "1.pt2"), TorchOptions()).inputs.bounds == {"ids": 50}


def test_names_in_a_program_may_be_those_of_the_format(tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def forward(self, name: Any, target: Any, metadata: Any) -> Any:
            return name + target * metadata

    made = torch.export.export(Net(), (torch.ones(2), torch.ones(2), torch.ones(2)))
    torch.export.save(made, tmp_path / "names.pt2")
    inputs = prepare(load_program(tmp_path / "names.pt2"), TorchOptions()).inputs
    assert [spec.name for spec in inputs.specs] == ["name", "target", "metadata"]


def test_a_program_that_branched_on_its_batch_is_refused(tmp_path: Path) -> None:
    made = torch.export.export(nets.Large(), (torch.ones(3, 2),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(made, tmp_path / "large.pt2")
    with pytest.raises(Unsupported, match=r"right only where x.shape\[0\] <= 4"):
        prepare(load_program(tmp_path / "large.pt2"), TorchOptions())


@pytest.mark.parametrize("attack", hostile.ATTACKS)
def test_a_program_with_code_in_it_is_refused_and_does_not_run(program: Path, tmp_path: Path, attack: str) -> None:
    mark = tmp_path / "ran"
    path = hostile.write(tmp_path / "hostile.pt2", hostile.ATTACKS[attack](hostile.members_of(program), marker(mark)))
    with pytest.raises((Untrusted, Unsupported)) as caught:
        load_program(path)
    assert caught.value.message.startswith("hostile.pt2") and not mark.exists()
    assert "torch" not in str(caught.value.data)


def test_the_attacks_are_real_and_the_environment_guard_alone_does_not_stop_them(program: Path, tmp_path: Path) -> None:
    """The control: PyTorch itself, with TORCH_FORCE_WEIGHTS_ONLY_LOAD=1, runs what is in these files."""
    lines = ["import contextlib, torch"]
    marks = []
    for attack in hostile.UNSTOPPED:
        marks.append(tmp_path / f"{attack.__name__}.ran")
        path = tmp_path / f"{attack.__name__}.pt2"
        hostile.write(path, attack(hostile.members_of(program), marker(marks[-1])))
        lines += [
            "with contextlib.suppress(Exception):",
            f"    torch.export.load({str(path)!r}).module()(torch.zeros(3, 4))",
        ]
    environment = {**os.environ, "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", "\n".join(lines)], env=environment, capture_output=True, check=True)
    assert [mark.exists() for mark in marks] == [True] * len(marks)


def test_the_environment_guard_is_set_inside_and_as_before_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    with forced_weights_only():
        assert os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
        assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_damaged_programs_are_bad_input(program: Path, tmp_path: Path) -> None:
    data, path = program.read_bytes(), tmp_path / "cut.pt2"
    for cut in (0, 30, len(data) // 3, len(data) - 5):
        path.write_bytes(data[:cut])
        with pytest.raises(BadInput, match=r"cut.pt2"):
            load_program(path)
    members = hostile.members_of(program)
    for name in (hostile.MODEL, "data/weights/model_weights_config.json"):
        for text in (b"", b"[]", b'{"config": 3}', b'{"graph_module": {}}', b"[" * 100_000):
            with pytest.raises(BadInput):
                load_program(hostile.write(path, {**members, name: text}))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"archive/{hostile.MODEL}", b"0" * 1_000_000)
    with pytest.raises(BadInput, match="compressed"):
        load_program(path)


def test_no_change_of_a_few_bytes_raises_anything_but_an_error_of_ours(program: Path, tmp_path: Path) -> None:
    """Seeded: single bytes of the archive changed, and values in the JSON of an archive that is otherwise whole."""
    data, path = program.read_bytes(), tmp_path / "changed.pt2"
    random = np.random.default_rng(3)
    for _ in range(300):
        changed = bytearray(data)
        start = int(random.choice([0, len(data) - 1500]))
        changed[int(random.integers(start, len(data)))] = int(random.integers(256))
        path.write_bytes(changed)
        with contextlib.suppress(MlpackError):
            load_program(path)
    members = hostile.members_of(program)
    text = members[hostile.MODEL]
    for name in (b"linear", b"p_layers_0_weight", b"layers.0.weight", b"torch.ops.aten.relu.default", b'"x"'):
        for other in (b"absent", b"", b"3"):
            hostile.write(path, {**members, hostile.MODEL: text.replace(name, other, 1)})
            with contextlib.suppress(MlpackError):
                load_program(path)


# the scan itself


@pytest.mark.parametrize("protocol", range(6))
def test_the_scan_names_globals_in_every_protocol(protocol: int) -> None:
    found = globals_of(pickle.dumps(hostile.Runs("1"), protocol), "p")
    assert found in ({"builtins.eval"}, {"__builtin__.eval"})


def test_a_name_that_is_put_together_while_unpickling_is_reported() -> None:
    """Decoys are pushed and popped again, so that the last texts seen are not the name that is used."""
    decoyed = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x8c\x05torch\x8c\x04Size00\x93."
    assert pickle.loads(decoyed) is eval
    assert globals_of(decoyed, "p") == {COMPUTED}


def test_what_is_no_pickle_is_bad_input() -> None:
    with pytest.raises(BadInput, match="damaged pickle"):
        globals_of(b"\x80\x02}q", "p")
