"""LiteRT's C interface, called with ctypes: a model compiled for the CPU with its profiler.

ai-edge-litert's Python interface reaches no profiler, but its libLiteRt.so exports the C interface (litert/c/*.h of
google-ai-edge/LiteRT 2.2, which says what each structure below holds). tflite-runtime has no such library.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from typing import Any, List, Tuple

from mlpack_edge.devices.targets.agent.frames import Refusal

_HANDLE = ctypes.c_void_p
_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_KEEP = _FREE(lambda pointer: None)
#: litert/c/litert_model_types.h, LiteRtElementType, as numpy names them.
_ELEMENTS = {
    1: "float32", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8", 10: "float16", 11: "float64",
    13: "uint64", 16: "uint32", 17: "uint16",
}  # fmt: skip
#: Releases whose C interface is the one below (it took `environment` in with 2.2).
_SINCE, _BEFORE = (2, 2), (3,)


class _Layout(ctypes.Structure):
    _fields_ = [
        ("rank", ctypes.c_uint, 7),
        ("strided", ctypes.c_uint, 1),
        ("sizes", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    ]


class _TensorType(ctypes.Structure):
    _fields_ = [("element", ctypes.c_int), ("layout", _Layout)]


class LitertRecord(ctypes.Structure):
    _fields_ = [
        ("tag", ctypes.c_char_p), ("type", ctypes.c_int), ("start", ctypes.c_uint64), ("took", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6), ("node", ctypes.c_uint64), ("graph", ctypes.c_uint64), ("source", ctypes.c_int),
    ]  # fmt: skip


class LitertLibrary:
    """The C interface of libLiteRt.so (litert/c/*.h); every function that gives a status is called by `call`."""

    def __init__(self) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("ai-edge-litert")
        except PackageNotFoundError as fault:
            raise no_litert_profiler("only ai-edge-litert has a profiler that can be reached") from fault
        numbers = tuple(int(part) for part in re.findall(r"\d+", found)[:2])
        if not _SINCE <= numbers < _BEFORE:
            raise no_litert_profiler("the profiler of ai-edge-litert %s is not known here; 2.2 to 2.x are" % found)
        import ai_edge_litert

        path = os.path.join(os.path.dirname(ai_edge_litert.__file__), "libLiteRt.so")
        try:
            self._functions = ctypes.CDLL(path)
        except OSError as fault:
            raise no_litert_profiler("%s could not be loaded: %s" % (path, fault)) from fault

    def call(self, name: str, *values: Any) -> None:
        status = self._functions["LiteRt" + name](*values)
        if status:
            raise Refusal(
                "check-failed", "LiteRT cannot profile this model", "LiteRt%s answered with status %d" % (name, status),
                "mlpack bench without --profile measures the whole model",
            )  # fmt: skip

    def made(self, name: str, *values: Any) -> Any:
        """The handle that a function writes to its last parameter."""
        handle = _HANDLE()
        self.call(name, *values, ctypes.byref(handle))
        return handle

    def count(self, name: str, *values: Any) -> int:
        number = ctypes.c_size_t()
        self.call(name, *values, ctypes.byref(number))
        return number.value

    def free(self, name: str, handle: Any) -> None:
        self._functions["LiteRtDestroy" + name](handle)


def no_litert_profiler(why: str) -> Refusal:
    return Refusal(
        "missing-extra",
        "the TFLite runtime on the target gives no profile",
        why,
        "on the target: %s -m pip install 'ai-edge-litert>=2.2,<3'" % sys.executable,
    )


class LitertCompiled:
    """A model compiled by LiteRT for the CPU with its profiler, its buffers filled."""

    def __init__(self, library: LitertLibrary, path: str, feeds: List[Any], threads: int) -> None:
        self._library, self._held = library, []  # type: Tuple[LitertLibrary, List[Tuple[str, Any]]]
        self._environment = self._hold("Environment", library.made("CreateEnvironment", 0, None))
        self._model = self._hold("Model", library.made("CreateModelFromFile", self._environment, os.fsencode(path)))
        options = self._hold("Options", library.made("CreateOptions"))
        library.call("SetOptionsHardwareAccelerators", options, 1)  # kLiteRtHwAcceleratorCpu
        self._texts = []
        for name, text in (
            (b"runtime_options_string", b"enable_profiling = true\n"),
            (b"xnnpack", b"num_threads = %d\n" % threads),
        ):
            payload = ctypes.create_string_buffer(text)
            self._texts.append((name, payload))
            opaque = library.made("CreateOpaqueOptions", name, ctypes.cast(payload, _HANDLE), _KEEP)
            library.call("AddOpaqueOptions", options, opaque)
        self._compiled = self._hold(
            "CompiledModel", library.made("CreateCompiledModel", self._environment, self._model, options)
        )
        self.profiler = library.made("CompiledModelGetProfiler", self._compiled)
        self._signature, self._place = self._main_signature()
        inputs = self._inputs(feeds)
        outputs = self._outputs()
        self._arguments = (
            self._compiled, self._place, ctypes.c_size_t(len(inputs)), (_HANDLE * max(1, len(inputs)))(*inputs),
            ctypes.c_size_t(len(outputs)), (_HANDLE * max(1, len(outputs)))(*outputs),
        )  # fmt: skip

    def __call__(self) -> None:
        self._library.call("RunCompiledModel", *self._arguments)

    def close(self) -> None:
        for kind, handle in reversed(self._held):
            self._library.free(kind, handle)
        self._held.clear()

    def _hold(self, kind: str, handle: Any) -> Any:
        self._held.append((kind, handle))
        return handle

    def _main_signature(self) -> Tuple[Any, Any]:
        """The signature of the main graph and its place; LiteRT makes one where the file has none."""
        main = ctypes.c_size_t(self._library.count("GetMainModelSubgraphIndex", self._model))
        self._main = self._library.made("GetModelSubgraph", self._model, main)
        for place in range(self._library.count("GetNumModelSignatures", self._model)):
            signature = self._library.made("GetModelSignature", self._model, ctypes.c_size_t(place))
            if self._library.made("GetSignatureSubgraph", signature).value == self._main.value:
                return signature, ctypes.c_size_t(place)
        raise Refusal(
            "unsupported",
            "LiteRT cannot profile this model",
            "no signature is that of its main graph",
            "write it anew with mlpack convert",
        )

    def _inputs(self, feeds: List[Any]) -> List[Any]:
        """Filled buffers in the order of the signature; `feeds` are in the order of the file."""
        library, order, types = self._library, [], []
        graph = [
            library.made("GetSubgraphInput", self._main, ctypes.c_size_t(place)).value for place in range(len(feeds))
        ]
        for place in range(library.count("GetNumSignatureInputs", self._signature)):
            tensor = library.made("GetSignatureInputTensorByIndex", self._signature, ctypes.c_size_t(place))
            if tensor.value not in graph:
                raise Refusal("bad-input", "the model has more inputs than were given", "%d were given" % len(feeds))
            order.append(feeds[graph.index(tensor.value)])
            types.append(self._type(tensor))
            sizes = list(types[-1].layout.sizes[: types[-1].layout.rank])
            array = order[-1]
            if _ELEMENTS.get(types[-1].element) != str(array.dtype) or len(sizes) != array.ndim:
                raise Refusal(
                    "bad-input",
                    "input %d takes %s of rank %d"
                    % (place, _ELEMENTS.get(types[-1].element, "no numbers"), len(sizes)),
                )
            if sizes != list(array.shape):
                wanted = (ctypes.c_int * max(1, array.ndim))(*array.shape)
                library.call(
                    "CompiledModelResizeInputTensorNonStrict",
                    self._compiled,
                    self._place,
                    ctypes.c_size_t(place),
                    wanted,
                    ctypes.c_size_t(array.ndim),
                )
                types[-1].layout.sizes[: array.ndim] = list(array.shape)
        return [self._filled(place, kind, array) for place, (kind, array) in enumerate(zip(types, order))]

    def _filled(self, place: int, kind: _TensorType, array: Any) -> Any:
        buffer, address = self._buffer("Input", place, kind), _HANDLE()
        if self._library.count("GetTensorBufferPackedSize", buffer) != array.nbytes:
            raise Refusal("bad-input", "input %d does not take %d bytes" % (place, array.nbytes))
        self._library.call("LockTensorBuffer", buffer, ctypes.byref(address), 1)  # kLiteRtTensorBufferLockModeWrite
        ctypes.memmove(address, array.tobytes(), array.nbytes)
        self._library.call("UnlockTensorBuffer", buffer)
        return buffer

    def _outputs(self) -> List[Any]:
        library = self._library
        count = library.count("GetNumSignatureOutputs", self._signature)
        layouts = (_Layout * max(1, count))()
        library.call(
            "GetCompiledModelOutputTensorLayouts",
            self._compiled,
            self._place,
            ctypes.c_size_t(count),
            layouts,
            ctypes.c_bool(True),
        )
        made = []
        for place in range(count):
            kind = self._type(library.made("GetSignatureOutputTensorByIndex", self._signature, ctypes.c_size_t(place)))
            kind.layout = layouts[place]
            made.append(self._buffer("Output", place, kind))
        return made

    def _type(self, tensor: Any) -> _TensorType:
        kind = _TensorType()
        self._library.call("GetRankedTensorType", tensor, ctypes.byref(kind))
        return kind

    def _buffer(self, which: str, place: int, kind: _TensorType) -> Any:
        need = self._library.made(
            "GetCompiledModel%sBufferRequirements" % which, self._compiled, self._place, ctypes.c_size_t(place)
        )
        made = self._library.made(
            "CreateManagedTensorBufferFromRequirements", self._environment, ctypes.byref(kind), need
        )
        return self._hold("TensorBuffer", made)
