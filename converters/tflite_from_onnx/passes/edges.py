"""Who makes and who reads each tensor, kept right while a pass rewrites the graph."""

from __future__ import annotations

from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

#: Fused activations that an operator can have, by the operator that computes them alone.
ACTIVATIONS = {"RELU": "RELU", "RELU6": "RELU6", "RELU_N1_TO_1": "RELU_N1_TO_1"}


class Edges:
    """The graph under a pass. Needs operators in running order; `sweep` leaves it without what was removed."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.outputs = set(graph.outputs)
        self.borders = {*graph.inputs, *graph.outputs}
        self._makers = graph.producers()
        self._readers: dict[Tensor, list[Op]] = {}
        self._removed: set[Op] = set()
        for op in graph.ops:
            for tensor in op.inputs:
                if tensor is not None:
                    self._readers.setdefault(tensor, []).append(op)

    def maker(self, tensor: Tensor | None) -> Op | None:
        return None if tensor is None else self._makers.get(tensor)

    def readers(self, tensor: Tensor) -> list[Op]:
        """Each operator as often as it reads the tensor."""
        return list(self._readers.get(tensor, ()))

    def sole_reader(self, tensor: Tensor) -> Op | None:
        """The one that reads the tensor, None where several do or it is an output of the graph."""
        readers = self._readers.get(tensor, ())
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None

    def is_removed(self, op: Op) -> bool:
        return op in self._removed

    def read(self, op: Op, place: int, tensor: Tensor | None) -> None:
        """Let `op` read `tensor` at `place` from now on."""
        old = op.inputs[place]
        if old is not None:
            self._readers[old].remove(op)
        op.inputs[place] = tensor
        if tensor is not None:
            self._readers.setdefault(tensor, []).append(op)

    def redirect(self, old: Tensor, new: Tensor) -> None:
        """Let all who read `old` read `new`."""
        for op in dict.fromkeys(self.readers(old)):
            for place, tensor in enumerate(op.inputs):
                if tensor is old:
                    self.read(op, place, new)

    def remove(self, op: Op) -> None:
        """Take an operator out; nobody may read what it made."""
        self._removed.add(op)
        for place in range(len(op.inputs)):
            self.read(op, place, None)
        for tensor in op.outputs:
            self._makers.pop(tensor, None)

    def make(self, op: Op, old: Tensor, new: Tensor) -> None:
        """Let `op` write `new` instead of `old`."""
        op.outputs[op.outputs.index(old)] = new
        self._makers.pop(old, None)
        self._makers[new] = op

    def bypass(self, op: Op) -> bool:
        """Take out an operator whose output is its first input; False where that would lose an output of the graph.

        The tensor that stays has the later name, for it holds the later value as well.
        """
        before, after = op.inputs[0], op.output
        assert before is not None
        if after not in self.outputs:
            self.remove(op)
            self.redirect(after, before)
            if before not in self.borders and before.data is None and after.name:
                before.name = after.name
            return True
        maker = self.maker(before)
        if maker is None or before in self.borders:
            return False
        self.remove(op)
        self.make(maker, before, after)
        self.redirect(before, after)
        return True

    def absorb(self, op: Op, later: Op) -> None:
        """Let `op` make what `later`, the only reader of its output, made from it; `later` goes."""
        before, after = op.output, later.output
        self.remove(later)
        self.make(op, before, after)

    def sweep(self) -> bool:
        """Drop the operators that were removed; whether there were any."""
        if self._removed:
            self.graph.ops[:] = [op for op in self.graph.ops if op not in self._removed]
        return bool(self._removed)


def is_plain(op: Op) -> bool:
    """Whether an operator works on float32 without quantization and has no activation yet."""
    tensors = [tensor for tensor in (*op.inputs, *op.outputs) if tensor is not None]
    return (
        op.output.dtype == "float32"
        and all(tensor.quantization is None for tensor in tensors)
        and op.options.get("fused_activation_function", "NONE") == "NONE"
    )


def same_shape(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors with equally many elements have one shape whatever their open sizes are."""
    return a.shape == b.shape and sum(size < 0 for size in a.shape) <= 1
