"""`mlpack doctor`."""

from __future__ import annotations

import shutil
from typing import Any

import click

from mlpack_edge.cli.outcome import Outcome, answers, show_stage, table
from mlpack_edge.core.errors import CheckFailed, MlpackError
from mlpack_edge.runtimes.environment import survey
from mlpack_edge.runtimes.worker import Limits, WorkerBug, run_isolated

Json = dict[str, Any]


#: Programs that targets are reached with and engines run on, and who needs them.
_PROGRAMS = {
    "ssh": ("ssh://", "sudo apt-get install openssh-client"),
    "adb": ("adb:", "sudo apt-get install adb"),
    "qemu-aarch64": ("emulated:pi3, pi4, pi5", "sudo apt-get install qemu-user"),
    "qemu-arm": ("emulated:armv7", "sudo apt-get install qemu-user"),
    "qemu-x86_64": ("emulated:x86-64-avx2", "sudo apt-get install qemu-user"),
    "java": ("--engine spark", "sudo apt-get install openjdk-17-jre-headless"),
    "cc": ("counting instructions", "sudo apt-get install gcc libc6-dev"),
}


@click.command("doctor", short_help="Show versions, missing extras and packages that do not go together.")
@answers("doctor")
def command() -> Outcome:
    """Show versions, missing extras, packages that do not go together, and the one line that mends each.

    Runtimes are tried in a child process, not only imported. Exit code 3 where something does not go together.

    \b
    Example:
      mlpack doctor
      mlpack doctor --json | jq .problems
    """
    facts = survey()
    legacy = ["tflite-runtime"] if "tflite-runtime" in facts["packages"] else []
    facts["runtimes"] = {name: _probe(name) for name in ("onnxruntime", "litert", *legacy)}
    facts["programs"] = {name: shutil.which(name) for name in _PROGRAMS}
    text = _text(facts)
    broken = [f"{name} does not run: {state['reason']}" for name, state in facts["runtimes"].items() if not state["ok"]]
    reasons = [problem["what"] for problem in facts["problems"]] + broken
    reasons += [f"{name} is not installed" for name in facts["core_missing"]]
    if reasons:
        mend = facts["problems"][0]["mend"] if facts["problems"] else "pip install --force-reinstall mlpack-edge"
        raise CheckFailed("; ".join(reasons), mend, result=facts, text=text)
    return Outcome(facts, text)


def _probe(name: str) -> Json:
    show_stage(f"trying {name}")
    try:
        entry = f"mlpack_edge.runtimes.environment:probe_{name.replace('-', '_')}"
        return run_isolated(entry, {}, Limits(seconds=60), subject=name)
    except (MlpackError, WorkerBug) as fault:
        # Whatever a broken installation raises is the doctor's finding, not the doctor's defect.
        return {"version": None, "ok": False, "reason": str(fault).strip().splitlines()[-1]}


def _text(facts: Json) -> str:
    lines = [f"mlpack {facts['mlpack']}, Python {facts['python']}, {facts['platform']}", ""]
    lines.append(table(sorted(facts["packages"].items())))
    lines += ["", "runtimes, each tried on a model:"]
    states = [
        (name, "runs" if state["ok"] else f"does not run: {state['reason']}")
        for name, state in facts["runtimes"].items()
    ]
    lines.append(table(states))
    lines += ["", "extras:"]
    rows = []
    for name, state in facts["extras"].items():
        missing = "installed" if state["installed"] else f"missing {', '.join(state['missing'])}: {state['install']}"
        rows.append((name, missing))
    lines.append(table(rows))
    lines += ["", "programs that targets and engines need:"]
    programs = [
        (name, found or f"missing: {_PROGRAMS[name][1]}", f"for {_PROGRAMS[name][0]}")
        for name, found in facts["programs"].items()
    ]
    lines.append(table(programs))
    lines.append("")
    for problem in facts["problems"]:
        lines += [f"problem: {problem['what']}", f"  why:  {problem['why']}", f"  mend: {problem['mend']}"]
    if not facts["problems"]:
        lines.append("no known-bad pair of packages")
    return "\n".join(lines)
