"""The agent as one file: it stands alone, is old enough for the Pythons it meets, and holds models that are sound."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from mlpack_edge.devices.targets.agent.models import IDENTITY, TINY
from mlpack_edge.devices.targets.agent.source import PARTS, agent_source
from mlpack_edge.devices.targets.session import _FIRST, bootstrap

#: Of the standard library, in Python 3.9 already.
_ALLOWED = {"numpy", "onnxruntime", "ai_edge_litert", "tflite_runtime"}


def tree() -> ast.Module:
    return ast.parse(agent_source(), feature_version=(3, 9))


def test_it_reads_as_python_39_and_its_bootstrap_as_python_2() -> None:
    assert tree().body
    _, opening = bootstrap(["/a@b/python's", "-B"])
    second = opening[: opening.index(b"@")].decode()
    for text in (_FIRST, second):
        ast.parse(text, feature_version=(3, 4))
        assert "f'" not in text and 'f"' not in text and "print" not in text
    # What some login shell would not leave alone between single quotes.
    assert not set("'\\!\n\0") & set(_FIRST)


def test_annotations_are_never_evaluated_and_no_newer_type_stands_outside_them() -> None:
    """`X | None`, `list[X]` as a value, zip(strict=), match: they fail on Python 3.9 only when they run."""
    first = next(node for node in tree().body if not isinstance(node, ast.Expr))
    assert isinstance(first, ast.ImportFrom) and first.module == "__future__"
    found = []

    class Values(ast.NodeVisitor):
        def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
            if node.value is not None:
                self.visit(node.value)

        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            for inner in [*node.body, *node.decorator_list, *node.args.defaults]:
                self.visit(inner)

        def visit_BinOp(self, node: ast.BinOp) -> None:
            names = {
                inner.id for side in (node.left, node.right) for inner in ast.walk(side) if isinstance(inner, ast.Name)
            }
            none = any(isinstance(side, ast.Constant) and side.value is None for side in (node.left, node.right))
            if isinstance(node.op, ast.BitOr) and (none or names & {"int", "str", "bytes", "float", "Dict", "List"}):
                found.append(ast.unparse(node))
            self.generic_visit(node)

        def visit_Call(self, node: ast.Call) -> None:
            if any(word.arg in ("strict", "process_group", "slots", "kw_only") for word in node.keywords):
                found.append(ast.unparse(node))
            self.generic_visit(node)

    Values().visit(tree())
    assert not found


def test_it_imports_nothing_but_the_standard_library_and_the_runtimes() -> None:
    imported = set()
    for node in ast.walk(tree()):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).partition(".")[0])
    assert imported - set(sys.stdlib_module_names) <= _ALLOWED
    assert b"mlpack_edge" not in agent_source()


def test_it_runs_where_this_package_is_not_there(tmp_path: Path) -> None:
    """-I -S: no packages at all. Its answer names none of the runtimes."""
    first, opening = bootstrap()
    done = subprocess.run(
        [sys.executable, "-ISc", first], input=opening + b'{"do": "hello"}\n{"do": "bye"}\n', cwd=tmp_path,
        capture_output=True, timeout=20, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(b'{"ok": {') and b'"numpy": null' in done.stdout and done.stderr == b""


def test_every_part_is_in_it_and_no_name_is_given_twice() -> None:
    """Joined to one module, a second function of the same name would take the place of the first."""
    names = [
        name
        for node in tree().body
        for name in (
            [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef)
            else [target.id for target in node.targets if isinstance(target, ast.Name)] if isinstance(node, ast.Assign)
            else []
        )
    ]  # fmt: skip
    agreed = {"Json"}
    assert sorted(name for name in set(names) if names.count(name) > 1 and name not in agreed) == []
    folder = Path(__file__).parents[3] / "devices" / "targets" / "agent"
    assert {path.stem for path in folder.glob("*.py")} == {*PARTS, "source", "__init__"}


def test_its_onnx_model_gives_back_what_it_gets() -> None:
    import onnxruntime

    model = onnx.load(io.BytesIO(IDENTITY))
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Identity"]
    session = onnxruntime.InferenceSession(IDENTITY, providers=["CPUExecutionProvider"])
    x = np.array([2.5], np.float32)
    assert session.run(None, {"x": x})[0].tobytes() == x.tobytes()


def test_its_tflite_model_doubles_two_numbers_and_is_the_one_known_to_the_runtimes() -> None:
    from mlpack_edge.runtimes.litert.library import TINY_MODEL, library

    assert TINY == TINY_MODEL
    interpreter = library().module.Interpreter(model_content=TINY)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    assert given["shape"].tolist() == [2] and given["dtype"] == np.float32
    interpreter.set_tensor(given["index"], np.array([1.5, -2], np.float32))
    interpreter.invoke()
    assert interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tolist() == [3, -4]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_uses_only_those_before_it(part: str) -> None:
    path = Path(__file__).parents[3] / "devices" / "targets" / "agent" / f"{part}.py"
    ours = [
        str(node.module).rpartition(".")[2]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mlpack_edge.")
    ]
    assert set(ours) <= set(PARTS[: PARTS.index(part)])
