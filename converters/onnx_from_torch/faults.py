"""What PyTorch's exporters raise, as one clear error: which line of the model, why, and what to do."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlpack_edge.core.errors import MlpackError, Unsupported
from mlpack_edge.core.signature import TensorSpec
from mlpack_edge.runtimes.torch.module import is_users

#: The smallest and the largest size a symbol may take; None: no limit.
Limits = tuple[int, int | None]

_GUARD = re.compile(r"^\s+- (.+)$", re.MULTILINE)
_VALUES = re.compile(r"Not all values of (\w+) = .* satisfy the generated guard (.+?)\.?$")
_CONSTANT = re.compile(r"You marked (\w+) as dynamic but your code specialized it to be a constant \((\d+)\)")
#: The end of a guard that one size does not meet.
EXCLUDED_SIZE = re.compile(r"!= \d+\.?$")
#: A guard of an exported program on one size.
SIMPLE_GUARD = re.compile(r"L\['(\w+)'\]\.size\(\)\[(\d+)\] (<=|>=) (\d+)")
#: A guard of an exported program that two sizes are equal.
EQUAL_SIZES = re.compile(r"L\['(\w+)'\]\.size\(\)\[(\d+)\] == L\['(\w+)'\]\.size\(\)\[(\d+)\]")
#: `h = Dim('h', min=13)` among the suggested fixes, and nothing else about h.
_SMALLEST = re.compile(r"^\s*(\w+) = Dim\('\w+', min=(\d+)\)$", re.MULTILINE)
#: What slicing a table of N positions asks: size == min(N, size).
_AT_MOST = re.compile(r"(L\['\w+'\]\.size\(\)\[\d+\]) == min\((\d+), \1\)")
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in \w+\n\s+(.+)')
_OPERATOR = re.compile(r"op='([\w.]+)', overload='(\w+)'")


def export_fault(
    fault: BaseException, model: str, specs: Sequence[TensorSpec], sizes: Mapping[str, int]
) -> MlpackError:
    """The error for what torch.export.export raised on inputs of these `specs`, with symbols at `sizes`."""
    text = str(fault)
    line = user_line(fault)
    if "data-dependent" in text:
        return Unsupported(
            f"{model} takes a way that depends on the numbers it is given{line}",
            "use torch.where, or torch.cond with both ways; turn Python `if`, `while` and .item() into tensor operations",
            why="a traced graph holds one way only; mlpack does not write a file that is right for some rows",
        )
    if "Constraints violated" in text:
        return shape_fault(text, model, specs, sizes)
    return Unsupported(
        f"{model} cannot be captured by torch.export{line}",
        "change this line to operations on tensors, or export the model yourself and give mlpack the .onnx file",
        why=f"{type(fault).__name__}: {_first_line(text)}",
    )


def shape_fault(text: str, model: str, specs: Sequence[TensorSpec], sizes: Mapping[str, int]) -> MlpackError:
    """The error for sizes that were to stay free and cannot."""
    reasons, fixed = [], {}
    items = _GUARD.findall(text)
    for item in [item for item in items if not EXCLUDED_SIZE.search(item)] or items:
        if constant := _CONSTANT.search(item):
            fixed[constant[1]] = constant[2]
            reasons.append(f"{constant[1]} is turned into the number {constant[2]}")
        elif guard := _VALUES.search(item):
            fixed.setdefault(guard[1], "1" if guard[1] == "batch" else str(sizes.get(guard[1], 1)))
            reasons.append(f"not every {guard[1]} gives {readable(guard[2])}")
    names = ", ".join(fixed) or "a size"
    lines = [
        f"--shape {spec.name}={'x'.join(fixed.get(str(size), str(size)) for size in spec.shape)}"
        for spec in specs
        if fixed.keys() & {str(size) for size in spec.shape}
    ]
    return Unsupported(
        f"{model} cannot be converted with {names} free",
        f"fix it: {' '.join(lines)}; or remove what depends on it (len(), int(), `if` on a shape, reshape to a number)",
        why="; ".join(reasons) or _first_line(text),
        symbols=list(fixed),
    )


@dataclass(frozen=True, slots=True)
class Demands:
    """What torch.export asks of sizes that were to be free.

    not_one: a size that must not be 1, which torch's own kernels ask to choose a memory layout that an ONNX graph
    does not have. limits: a smallest or largest size, by symbol. other: anything else, or no such complaint at all.
    """

    not_one: bool
    limits: dict[str, Limits]
    other: bool


def demands_of(text: str) -> Demands:
    """Read the message of torch.export's constraint violations."""
    limits: dict[str, Limits] = {}
    not_one, other = False, "Constraints violated" not in text
    suggested = {found[1]: int(found[2]) for found in _SMALLEST.finditer(text)}
    for item in _GUARD.findall(text):
        guard = _VALUES.search(item)
        if guard is None:
            other = True
        elif EXCLUDED_SIZE.search(guard[2]):
            not_one = True
        elif most := _AT_MOST.fullmatch(guard[2]):
            limits[guard[1]] = (0, int(most[2]))
        elif guard[1] in suggested:
            limits[guard[1]] = (suggested[guard[1]], None)
        else:
            other = True
    return Demands(not_one, limits, other)


def lowering_fault(fault: BaseException, model: str, traces: Mapping[str, str]) -> MlpackError:
    """The error for what torch.onnx.export raised.

    traces: where in the user's code each operator of the captured program comes from, as torch writes it.
    """
    chain = list(_causes(fault))
    text = "\n".join(str(item) for item in chain)
    operator = _OPERATOR.search(text)
    stem = operator[1].rpartition(".")[2].strip("_") if operator is not None else ""
    origin = next((trace for name, trace in traces.items() if stem and stem in name), "")
    frames = [frame for frame in _FRAME.findall(f"{text}\n{origin}") if is_users(frame[0])]
    where = f" at {frames[-1][0]}:{frames[-1][1]} ({frames[-1][2]})" if frames else ""
    if operator is not None and "No ONNX function found" in text:
        return Unsupported(
            f"{model} uses the operator {operator[1]}.{operator[2]}{where}, for which there is no ONNX form",
            "write it with other operations, or leave it out of forward() and do it before or after the model",
            why="torch.onnx.export has no translation of it",
            operator=operator[1],
        )
    return Unsupported(
        f"{model} cannot be turned into ONNX by torch.onnx.export{where}",
        "write that part with other operations, or export the model yourself and give mlpack the .onnx file",
        why=f"{type(chain[-1]).__name__}: {_first_line(str(chain[-1]))}",
    )


def user_line(fault: BaseException) -> str:
    """` at file:line (code)` of the user's code that was being traced, or nothing."""
    for item in _causes(fault):
        frames = [frame for frame in traceback.extract_tb(item.__traceback__) if is_users(frame.filename)]
        frames = [frame for frame in frames if frame.name != "<module>"] or frames
        if frames:
            return f" at {frames[-1].filename}:{frames[-1].lineno} ({frames[-1].line})"
    quoted = [frame for frame in _FRAME.findall(str(fault)) if is_users(frame[0])]
    return f" at {quoted[-1][0]}:{quoted[-1][1]} ({quoted[-1][2]})" if quoted else ""


def readable(guard: str) -> str:
    """`L['x'].size()[0]` as `x.shape[0]`."""
    return re.sub(r"L\['(\w+)'\]\.size\(\)", r"\1.shape", guard)


def _causes(fault: BaseException) -> Iterator[BaseException]:
    item: BaseException | None = fault
    while item is not None:
        yield item
        item = item.__cause__


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0][:400]
