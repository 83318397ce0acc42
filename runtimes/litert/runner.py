"""Run TFLite files on the CPU with what `library` found, at one thread unless asked otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.litert.borders import (
    Quantization,
    Values,
    border_of,
    coded_classes,
    feed_from_tensor,
    fitting,
    quantization_of,
    real_numbers,
    spec_of,
    tensor_from_feed,
)
from mlpack_edge.runtimes.litert.library import FAULTS, Library, library, reason_of
from mlpack_edge.runtimes.litert.model_file import read_model, stored_signature
from mlpack_edge.runtimes.parity import RowsRefused
from mlpack_edge.runtimes.row_streams.cutting import fixed_batch

Array = NDArray[Any]
Feeds = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class LitertOptions:
    """threads: of XNNPACK and of the kernels that have threads.
    xnnpack: whether XNNPACK takes what it can; else the optimised built-in kernels run.
    reference_kernels: the plain kernels, whose answers are the same bits on x86-64, aarch64 and armv7.
    io: "real" or "codes", see `borders.Values`.
    preserve_all_tensors: keep what `tensor_values` reads; XNNPACK is off then, it hides what it computes.
    decode: give label outputs as the texts of `signature.classes`.
    """

    threads: int = 1
    xnnpack: bool = True
    reference_kernels: bool = False
    io: Values = "real"
    preserve_all_tensors: bool = False
    decode: bool = False


DEFAULTS = LitertOptions()


class LitertRunner:
    """A TFLite file or model as a `parity.Runner`.

    signature: the one the model was converted with; without one, the one that travels in the file, else what its
    tensors say; codes with a grid are float32 in it where `options.io` is "real". Inputs and outputs go by the names of the file's signature definition, else of its tensors.
    Raises BadInput where the file is damaged or contradicts the signature, CheckFailed where LiteRT refuses it,
    MissingExtra where nothing here runs TFLite. A damaged file can kill the process: `isolated` is for those.
    """

    def __init__(
        self,
        model: bytes | Path,
        signature: Signature | None = None,
        *,
        options: LitertOptions = DEFAULTS,
        through: Library | None = None,
    ) -> None:
        self.options = options
        self.library = through or library()
        self._model = model
        self._file = read_model(model)
        self._interpreter = self._opened()
        #: The shapes memory is planned for, by the index of the input; None where it is not.
        self._shapes: dict[int, tuple[int, ...]] | None = None
        details = {int(found["index"]): found for found in self._interpreter.get_tensor_details()}
        self._inputs = {name: border_of(name, details[index]) for name, index in self._file.inputs.items()}
        self._outputs = {name: border_of(name, details[index]) for name, index in self._file.outputs.items()}
        found = signature or stored_signature(self._file) or self._own_signature()
        self.signature = real_numbers(found) if options.io == "real" else found
        fitting(self.signature.inputs, self._inputs, "input")
        fitting(self.signature.outputs, self._outputs, "output")
        self._batch = fixed_batch(border.shape for border in self._inputs.values())
        if not any(size < 0 for border in self._inputs.values() for size in border.shape[1:]):
            self._plan({place: tuple(map(int, details[place]["shape"])) for place in self._file.inputs.values()})
        self._columns = {
            name: [column for column in self.signature.columns if column.input == name] for name in self._inputs
        }
        self._classes = {
            spec.name: coded_classes(self.signature, self._outputs[spec.name], spec.role) if options.decode else ()
            for spec in self.signature.outputs
        }

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """All outputs, as copies; in pieces where the file's batch is fixed. Variables are reset before each piece.

        Texts are taken where the signature's columns have categories. Raises BadInput (names, dtypes, shapes),
        RowsRefused (no rows at all, or no whole number of fixed batches), CheckFailed (LiteRT stopped).
        """
        return self._run(feeds, reset=True)

    def run_again(self, feeds: Feeds) -> dict[str, Array]:
        """As `run`, with what the last call left in variables: a second call tells whether a file leaks state."""
        return self._run(feeds, reset=False)

    def tensors_from_feeds(self, feeds: Feeds) -> list[Array]:
        """What the file's input tensors would hold, in the order in which the interpreter lists them. Raises BadInput."""
        ready = {
            border.index: tensor_from_feed(border, np.asarray(feeds[name]), self._columns[name], self.options.io)
            for name, border in self._inputs.items()
        }
        return [ready[found["index"]] for found in self._interpreter.get_input_details()]

    def answers_from_tensors(self, arrays: Sequence[Array]) -> dict[str, Array]:
        """What callers get of the output tensors, these in the order in which the interpreter lists them."""
        given = self.tensors_by_output(arrays)
        return {
            name: feed_from_tensor(border, given[name], self._classes[name], self.options.io)
            for name, border in self._outputs.items()
        }

    def tensors_by_output(self, arrays: Sequence[Array]) -> dict[str, Array]:
        """The output tensors, in the order in which the interpreter lists them, by the names of the outputs."""
        places = [int(found["index"]) for found in self._interpreter.get_output_details()]
        given = dict(zip(places, arrays, strict=True))
        return {name: given[border.index] for name, border in self._outputs.items()}

    def tensor_values(self, feeds: Feeds, names: Sequence[str]) -> dict[str, Array]:
        """The values that tensors of these names have after a run, intermediate ones too; quantized ones as `io` says.

        Needs `preserve_all_tensors`. Raises BadInput where a name is none or several tensors', else as `run`.
        """
        if not self.options.preserve_all_tensors:
            raise BadInput("intermediate tensors are not kept", "open the model with preserve_all_tensors=True")
        places = {name: self._place(name) for name in names}
        details = {found["index"]: found for found in self._interpreter.get_tensor_details()}
        found = {
            name: None if self.options.io == "codes" else quantization_of(details[index])
            for name, index in places.items()
        }
        return self._in_pieces(
            feeds, True, lambda: {name: self._value(index, found[name]) for name, index in places.items()}
        )

    def _place(self, name: str) -> int:
        places = [index for index, other in enumerate(self._file.tensors) if other == name]
        if len(places) != 1:
            raise BadInput(f"{len(places)} tensors are named {name!r}", "mlpack inspect says what the file holds")
        return places[0]

    def _value(self, index: int, quantization: Quantization | None) -> Array:
        """A copy of a tensor's value now. Raises ValueError where it has none."""
        array = np.asarray(self._interpreter.get_tensor(index))
        return array if quantization is None else quantization.reals(array)

    def _run(self, feeds: Feeds, reset: bool) -> dict[str, Array]:
        return self._in_pieces(feeds, reset, self._answers)

    def _answers(self) -> dict[str, Array]:
        return {
            name: feed_from_tensor(border, self._value(border.index, None), self._classes[name], self.options.io)
            for name, border in self._outputs.items()
        }

    def _in_pieces(self, feeds: Feeds, reset: bool, read: Callable[[], dict[str, Array]]) -> dict[str, Array]:
        if set(feeds) != set(self._inputs):
            raise BadInput(
                f"the model was fed {', '.join(sorted(feeds)) or 'nothing'}",
                "feed an array under each of its inputs' names", why=f"its inputs are {', '.join(self._inputs)}",
            )  # fmt: skip
        rows = len(next(iter(feeds.values()))) if self._batch is not None else 0
        if self._batch is None or rows == self._batch:
            return self._piece(feeds, reset, read)
        if not rows or rows % self._batch:
            raise RowsRefused(f"the model takes batches of {self._batch} rows, {rows} rows are no whole number of them")
        made = [
            self._piece({name: array[start : start + self._batch] for name, array in feeds.items()}, reset, read)
            for start in range(0, rows, self._batch)
        ]
        whole = [name for name, array in made[0].items() if array.shape[:1] != (self._batch,)]
        if whole:
            raise BadInput(
                f"{whole[0]!r} has no row for each of a batch's {self._batch}, and {rows} rows were fed",
                f"feed {self._batch} rows at once",
            )
        return {name: np.concatenate([part[name] for part in made]) for name in made[0]}

    def _piece(self, feeds: Feeds, reset: bool, read: Callable[[], dict[str, Array]]) -> dict[str, Array]:
        ready = {
            border.index: tensor_from_feed(border, np.asarray(feeds[name]), self._columns[name], self.options.io)
            for name, border in self._inputs.items()
        }
        for name, border in self._inputs.items():
            # Kernels divide by sizes: a batch of nothing ends some of them, and the process with them.
            if 0 in ready[border.index].shape and 0 not in border.shape:
                raise RowsRefused(f"TFLite runs no empty batch: {name!r} was fed {list(np.shape(feeds[name]))}")
        if reset and self._file.keeps_resources:
            self._interpreter, self._shapes = self._opened(), None
        self._plan({index: array.shape for index, array in ready.items()})
        try:
            if reset:
                self._interpreter.reset_all_variables()
            for index, array in ready.items():
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
            return read()
        except FAULTS as fault:
            self._shapes = None
            raise CheckFailed(
                f"LiteRT stopped on inputs of {', '.join(str(list(array.shape)) for array in ready.values())}",
                "report the model's source with this message: a converted model must take every batch",
                why=reason_of(fault),
            ) from fault

    def _plan(self, shapes: dict[int, tuple[int, ...]]) -> None:
        """Resize the inputs and plan memory, unless it is planned for these shapes already. Raises CheckFailed."""
        if shapes == self._shapes:
            return
        self._shapes = None
        try:
            for index, shape in shapes.items():
                self._interpreter.resize_tensor_input(index, shape, strict=True)
            self._interpreter.allocate_tensors()
        except FAULTS as fault:
            raise CheckFailed(
                f"LiteRT cannot prepare the model for inputs of {', '.join(str(list(s)) for s in shapes.values())}",
                "mlpack inspect says whether it loads at all, and why not", why=reason_of(fault),
            ) from fault  # fmt: skip
        self._shapes = shapes

    def _opened(self) -> Any:
        """A new interpreter."""
        source = {"model_content": self._model} if isinstance(self._model, bytes) else {"model_path": str(self._model)}
        kinds = self.library.module.OpResolverType
        kernels = kinds.AUTO
        if self.options.reference_kernels:
            kernels = kinds.BUILTIN_REF
        elif not self.options.xnnpack or self.options.preserve_all_tensors:
            kernels = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            return self.library.module.Interpreter(
                **source,
                num_threads=self.options.threads,
                experimental_op_resolver_type=kernels,
                experimental_preserve_all_tensors=self.options.preserve_all_tensors,
            )
        except FAULTS as fault:
            raise CheckFailed(
                "LiteRT does not load the model",
                "mlpack inspect says what it holds; mlpack doctor says whether the versions go together",
                why=reason_of(fault),
            ) from fault

    def _own_signature(self) -> Signature:
        return Signature(
            tuple(spec_of(border, self.options.io) for border in self._inputs.values()),
            tuple(spec_of(border, self.options.io) for border in self._outputs.values()),
        )
