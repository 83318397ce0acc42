"""What `mlpack check --arch` and `--target` do: run one model file here and there with the same rows, and compare."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack_edge.cli.outcome import show_stage
from mlpack_edge.core.errors import BadInput, CheckFailed, MlpackError, Unsupported, WorkerFault
from mlpack_edge.core.scratch import scratch_folder
from mlpack_edge.devices.targets.target import Target, TargetOptions, open_target
from mlpack_edge.runtimes.array_sets import load_sets, save_sets
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel, digest_of_files
from mlpack_edge.runtimes.processors import next_step
from mlpack_edge.runtimes.recognise.sniff import sniff
from mlpack_edge.runtimes.worker import Limits, run_isolated

Json = dict[str, Any]
_FORMATS = ("onnx", "tflite")
#: The distributions that run a format, in the order in which an agent takes them.
_RUNTIMES = {"onnx": ("onnxruntime",), "tflite": ("ai-edge-litert", "tflite-runtime")}


@dataclass(frozen=True, slots=True)
class Subject:
    """The file that would be deployed. names: the models of the command, of which it is number `place`."""

    names: tuple[str, ...]
    place: int
    format: str

    @property
    def path(self) -> Path:
        return Path(self.names[self.place])


def subject_of(names: Sequence[str], targets: Sequence[str]) -> Subject:
    """The last of `names` that is an ONNX or a TFLite file.

    Raises BadInput where none is, or a target is unknown; Unsupported where one has no runtime for the format.
    """
    kinds = ["" if ":" in name and not os.path.lexists(name) else str(sniff(Path(name))) for name in names]
    place = max((place for place, kind in enumerate(kinds) if kind in _FORMATS), default=None)
    if place is None:
        raise BadInput(
            f"a target runs ONNX and TFLite files, and {' and '.join(names)} {'is none' if len(names) == 1 else 'are none'}",
            f"mlpack convert {names[0]} -o model.onnx, and check that",
        )
    path, kind = Path(names[place]), kinds[place]
    for name in targets:
        open_target(name, TargetOptions()).close()
        if kind == "onnx" and name == "emulated:armv7":
            raise Unsupported(
                f"{path} is an ONNX file, and ONNX Runtime has no package for 32-bit ARM (armv7)",
                f"mlpack convert {names[0]} --to tflite -o model.tflite, and check that; or --arch aarch64",
            )
    return Subject(tuple(names), place, kind)


def check_on_targets(
    subject: Subject, targets: Sequence[str], payload: Json, limits: Limits, python: str, memory: int | None
) -> Json:
    """{left_out, architectures}: one item a target, in their order.

    payload: the options of the comparison as `converters.jobs` takes them. memory: of a model's process on a target.
    Raises MlpackError where a target cannot be reached, with the items so far in `data["result"]`.
    """
    done: list[Json] = []
    with scratch_folder() as folder:
        made = run_isolated(
            "mlpack_edge.converters.machine_jobs:make_rows",
            {**payload, "names": list(subject.names), "file": subject.place, "folder": folder},
            limits, str(subject.path), show_stage,
        )  # fmt: skip
        run = _Run(subject, made, Path(folder), limits, payload)
        result = {"left_out": made["left_out"], "architectures": done}
        here = run.ask("local", python, limits.memory, "here")
        for number, name in enumerate(targets):
            try:
                done.append(run.item(name, python, memory, f"there{number}", here))
            except MlpackError as fault:
                fault.data["result"] = result
                raise
        if run.digest != digest_of_files(subject.path, made["beside"]):
            raise BadInput(f"{subject.path} changed while it was run", "wait until it is written, and start again")
    return result


class _Run:
    """One file and its rows, which lie in `folder`."""

    def __init__(self, subject: Subject, made: Json, folder: Path, limits: Limits, payload: Json) -> None:
        self._subject, self._made, self._folder = subject, made, folder
        self._limits, self._payload = limits, payload
        self.digest = digest_of_files(subject.path, made["beside"])

    def item(self, name: str, python: str, memory: int | None, label: str, here: Json) -> Json:
        """What is said of a target: that the file does not run there is said of it too."""
        subject, hint = self._subject, ""
        there: Json = {"environment": {}, "runtimes": {}}
        try:
            there = self.ask(name, python, memory, label)
            facts = run_isolated(
                "mlpack_edge.converters.machine_jobs:compare",
                {
                    **{key: self._payload[key] for key in ("rtol", "atol", "max_flips", "shapes")},
                    "path": str(subject.path), "folder": str(self._folder), "chunks": self._made["chunks"],
                    "family": self._made["family"], "here": "here", "there": label,
                },
                self._limits, str(subject.path), show_stage,
            )  # fmt: skip
        except CheckFailed as refusal:
            facts = _no_facts(refusal)
            hint = refusal.hint
        environments = {"this machine": here["environment"], name: there["environment"]}
        if not facts["passed"] and not hint:
            hint = next_step(subject.format, self._made["is_quantized"], environments)
        runtimes = [_runtime(place, subject.format) for place in (there, here)]
        notes = []
        if None not in runtimes and runtimes[0] != runtimes[1]:
            texts = [f"{runtime['name']} {runtime['version']}" for runtime in runtimes if runtime]
            notes.append(f"{texts[0]} there and {texts[1]} here: another version may round in another way")
        return {
            "target": name, **{key: there["environment"].get(key) for key in ("arch", "cpu", "emulated")},
            "runtime": runtimes[0], "runtime_here": runtimes[1], **facts, "hint": hint, "notes": notes,
        }  # fmt: skip

    def ask(self, name: str, python: str, memory: int | None, label: str) -> Json:
        """Run the file on a target and keep its answers under `label`; what the target says of itself.

        Raises Unsupported where it gives no outputs, and what asking it raises.
        """
        plan = Plan(time_limit=self._limits.seconds, memory_bytes=memory)
        with closing(open_target(name, TargetOptions(python=python, stage=show_stage))) as target:
            if "outputs" not in target.gives:
                raise Unsupported(f"{name} gives no outputs", "check on a target that does: ssh://, emulated:")
            described = target.describe()
            for number, chunk in enumerate(self._made["chunks"]):
                self._ask_chunk(target, plan, label, number, chunk)
        return described

    def _ask_chunk(self, target: Target, plan: Plan, label: str, number: int, chunk: Json) -> None:
        feeds = load_sets(self._folder / f"feeds-{number}.npz", chunk["feeds"])
        path, (digest, size) = self._subject.path, self.digest
        model = PreparedModel(
            str(path), path, self._subject.format, digest, size, tuple(self._made["beside"]),
            self._made["batch"] or 1, tuple(feeds), "",
        )  # fmt: skip
        show_stage(f"running {path} on {target.name}")
        made = target.outputs(model, plan)
        if len(made) != len(feeds):
            raise WorkerFault(f"{target.name} answered {len(made)} of {len(feeds)} sets of rows", "start again")
        chunk.setdefault("answers", {})[label] = save_sets(self._folder / f"{label}-{number}.npz", made)


def _no_facts(refusal: CheckFailed) -> Json:
    reason = f"{refusal.message}: {refusal.why}" if refusal.why else refusal.message
    return {
        "rows": 0, "bit_identical": False, "values": 0, "different": 0, "ill_conditioned": 0, "outputs": [],
        "passed": False, "reasons": [reason],
    }  # fmt: skip


def _runtime(described: Json, format: str) -> Json | None:
    versions = ((name, described["runtimes"].get(name)) for name in _RUNTIMES[format])
    return next(({"name": name, "version": version} for name, version in versions if version), None)
