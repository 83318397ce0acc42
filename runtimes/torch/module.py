"""Load what a user names (`package.module:attribute`, with weights) and run it as the reference.

Only here is the current directory put on `sys.path`, and only here does code of the user run: naming it is the
permission. What that code prints goes to standard error, and what it raises is reported as its own, by file and line.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, MlpackError
from mlpack_edge.core.extensions import missing_extra
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.shortage import refuse_lack_of_memory
from mlpack_edge.runtimes.torch.weights import load_weights, put_weights

Array = NDArray[Any]
#: A torch.nn.Module or a torch.export.ExportedProgram: torch is imported only where it is needed.
Module = Any

_runnable: WeakKeyDictionary[Any, Callable[..., Any]] = WeakKeyDictionary()


def load_module(source: str, weights: Path | None = None, directory: Path | None = None) -> Module:
    """The torch.nn.Module that `package.module:attribute` names, in eval mode, with `weights` where given.

    The attribute (dots reach inside: `nets:Zoo.small`) is a module, or a callable without arguments that returns one.
    directory: where the package is looked for first, the current directory by default.
    Raises BadInput where there is none or where the user's code fails, and what `load_weights` and `put_weights` do.
    """
    try:
        import torch
    except ModuleNotFoundError as fault:
        raise missing_extra("torch", "PyTorch models") from fault
    package, _, attribute = source.partition(":")
    if not package or not attribute or not all(part.isidentifier() for part in f"{package}.{attribute}".split(".")):
        raise BadInput(f"{source!r} names no PyTorch module", "write package.module:attribute, as in nets.small:build")
    with users_code(source, directory or Path.cwd()):
        found: Any = _imported(package, source)
        for part in attribute.split("."):
            found = _attribute(found, part, source)
        if not isinstance(found, torch.nn.Module):
            if not callable(found):
                raise BadInput(
                    f"{source} is a {type(found).__name__}, no PyTorch module",
                    "name a torch.nn.Module, or a callable without arguments that returns one",
                )
            found = found()
    if isinstance(found, dict) and any(isinstance(value, torch.Tensor) for value in found.values()):
        raise BadInput(f"{source} gives a state dict, which has no code to run", bare_weights_hint("weights.pt"))
    if not isinstance(found, torch.nn.Module):
        raise BadInput(
            f"{source}() gives a {type(found).__name__}, no PyTorch module", "let it return a torch.nn.Module"
        )
    if weights is not None:
        put_weights(found, load_weights(weights), str(weights))
    return found.eval()


def bare_weights(path: Path) -> MlpackError:
    """The error for weights given as the model: the code that uses them is not in the file."""
    return BadInput(
        f"{path} holds weights, and no model that could be run",
        bare_weights_hint(str(path)),
        why="a state dict has tensors by name; what is computed with them is in the Python class",
    )


def bare_weights_hint(path: str) -> str:
    return f"mlpack convert package.module:attribute --weights {path}"


def run_module(module: Module, signature: Signature, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What the module itself gives for `feeds`, by the names of `signature.outputs`: at one thread, without gradients.

    Inputs go in under their names. Raises BadInput where the module's code fails on them,
    MemoryError where it lacks memory.
    """
    import torch

    tensors = {spec.name: torch.from_numpy(np.array(feeds[spec.name])) for spec in signature.inputs}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with users_code(type(module).__name__), torch.no_grad():
            made = dict(named_leaves(call(module, tensors)))
    finally:
        torch.set_num_threads(threads)
    return {spec.name: np.asarray(made[spec.name].numpy()) for spec in signature.outputs}


def call(module: Module, tensors: Mapping[str, Any], guarded: bool = True) -> Any:
    """Call a module or an exported program with its inputs by name.

    guarded: whether a program refuses sizes that it was not traced for.
    """
    import torch

    if not isinstance(module, torch.export.ExportedProgram):
        return module(**tensors)
    if guarded and module not in _runnable:
        _runnable[module] = module.module()
    runnable = _runnable[module] if guarded else _unguarded(module)
    leaves = [
        tensors[spec.arg.name] if hasattr(spec.arg, "name") and spec.arg.name in tensors else spec.arg.value
        for spec in module.graph_signature.input_specs
        if spec.kind == torch.export.graph_signature.InputKind.USER_INPUT
    ]
    args, kwargs = torch.utils._pytree.tree_unflatten(leaves, module.call_spec.in_spec)
    return runnable(*args, **kwargs)


def _unguarded(program: Module) -> Any:
    """The program's graph without the checks of its inputs, which torch puts in as guards and as a forward hook."""
    made = program.module(check_guards=False)
    made._forward_pre_hooks.clear()
    return made


def named_leaves(result: Any) -> list[tuple[str, Any]]:
    """The results by name, None left out: dict keys joined by ".", numbers in tuples, "output" for a single tensor."""
    import torch

    paths = torch.utils._pytree.tree_flatten_with_path(result)[0]
    leaves = [
        (".".join(str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", "")))) for key in path), leaf)
        for path, leaf in paths
        if leaf is not None
    ]
    return [("output" if not name else f"output_{name}" if name[0].isdigit() else name, leaf) for name, leaf in leaves]


@contextmanager
def users_code(source: str, directory: Path | None = None) -> Iterator[None]:
    """Run code of the user: its prints go to standard error, its errors become one BadInput with file and line.

    Raises MemoryError where it lacks memory.
    """
    if directory is not None and str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (MlpackError, MemoryError):
        raise
    except (Exception, SystemExit) as fault:  # code of the user may raise anything
        refuse_lack_of_memory(str(fault))
        stack = traceback.extract_tb(fault.__traceback__)
        frames = [frame for frame in stack if is_users(frame.filename)] or stack[-1:]
        where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        line = f" ({frames[-1].line})" if frames and frames[-1].line else ""
        text = str(fault).strip().splitlines()
        raise BadInput(
            f"the code of {source} fails{where}: {type(fault).__name__}: {text[0] if text else ''}",
            "mend it, or run it in Python to see all of the error",
            why=f"raised in{line}" if line else "",
        ) from fault


def is_users(filename: str) -> bool:
    """Whether a source file is neither Python's, an installed library's, nor this project's."""
    folders = ("site-packages", "dist-packages")
    own = str(Path(__file__).parent.parent)
    library = str(Path(traceback.__file__).parent)
    path = Path(filename)
    inside = filename.startswith(library) or any(folder in path.parts for folder in folders)
    return not filename.startswith("<") and not inside and not (filename.startswith(own) and "tests" not in path.parts)


def _imported(package: str, source: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{package}.".startswith(f"{fault.name}."):
            raise  # a module that the user's code imports
        raise BadInput(
            f"{source}: there is no Python module {fault.name}",
            f"run mlpack in the directory that holds {package.partition('.')[0]}, or install the package",
        ) from fault


def _attribute(owner: Any, part: str, source: str) -> Any:
    if not hasattr(owner, part):
        import torch

        offered = [
            name
            for name, value in vars(owner).items()
            if not name.startswith("_")
            and (isinstance(value, torch.nn.Module) or getattr(value, "__module__", "") == owner.__name__)
        ] if hasattr(owner, "__name__") else []  # fmt: skip
        raise BadInput(
            f"{source}: {getattr(owner, '__name__', owner)} has no attribute {part}",
            f"it has {', '.join(offered[:8])}" if offered else "check the name",
        )
    return getattr(owner, part)
