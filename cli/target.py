"""`mlpack target`: set up, list and try the places where models are measured."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from mlpack_edge.cli.options import reaching_options
from mlpack_edge.cli.outcome import Outcome, answers, note, show_stage, size_text, table
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.extensions import TARGETS, extensions

Json = dict[str, Any]
_EMULATED = "emulated"


@click.group("target", short_help="Set up, list and try the places where models are measured.")
def command() -> None:
    """Targets are where `mlpack bench` and `mlpack check` run models: this machine, another one over SSH, an Android device,
    an emulated ARM board.

    \b
    Examples:
      mlpack target list
      mlpack target setup emulated:pi4
      mlpack target check ssh://pi@raspberrypi
    """  # fmt: skip


@command.command("setup")
@click.argument("target")
@click.option("--dry-run", is_flag=True, help="Only say what would be fetched.")
@click.option("--force", is_flag=True, help="Set up anew what is there.")
@answers("target setup")
def setup_command(target: str, dry_run: bool, force: bool) -> Outcome:
    """Fetch what an emulated machine needs, by package name: Debian packages and wheels of the versions installed here.

    Nothing is installed on this machine and no root is needed; it lies in $MLPACK_DATA_DIR, else in
    ~/.local/share/mlpack.

    \b
    Examples:
      mlpack target setup emulated:pi4 --dry-run
      mlpack target setup emulated:pi4
    """
    scheme, _, name = target.partition(":")
    if scheme != _EMULATED or not name:
        raise BadInput(
            f"{target!r} needs no setup", "only emulated machines do: mlpack target list shows them and their state"
        )
    from mlpack_edge.devices.emulation.boards import profile_named
    from mlpack_edge.devices.emulation.root import status
    from mlpack_edge.devices.emulation.setup import plan, setup

    profile = profile_named(name)
    now = status(profile)
    if now.state == "ready" and not force and not dry_run:
        return Outcome(
            {"target": target, "fetched": None, "status": now.to_json()}, f"{target} is ready ({now.folder})"
        )
    wanted = plan(profile, show_stage)
    said = f"{len(wanted.packages)} packages, {size_text(wanted.bytes)}, into {wanted.folder}"
    rows = [(str(one["name"]), str(one["version"]), size_text(one["bytes"]) if one["bytes"] else "?", str(one["origin"])) for one in wanted.packages]  # fmt: skip
    if dry_run:
        text = table(rows, ("package", "version", "size", "from")) + "\n" + said if rows else "nothing is fetched"
        return Outcome({"target": target, "plan": wanted.to_json()}, text)
    note(f"{target} fetches {said}")
    made = setup(profile, show_stage, force)
    text = f"{target} is ready: Python {wanted.python}, {size_text(made.bytes)} in {made.folder}"
    return Outcome({"target": target, "plan": wanted.to_json(), "status": made.to_json()}, text)


@command.command("list")
@answers("target list")
def list_command() -> Outcome:
    """List the targets, and of emulated machines whether they are set up.

    \b
    Example:
      mlpack target list
    """
    from mlpack_edge.devices.emulation.boards import PROFILES
    from mlpack_edge.devices.emulation.root import status

    found: list[Json] = []
    for name, extension in extensions(TARGETS).items():
        gives = sorted(extension.load().gives)
        forms = (
            [f"{_EMULATED}:{profile}" for profile in PROFILES]
            if name == _EMULATED
            else [_FORMS.get(name, f"{name}:...")]
        )
        for form in forms:
            state = status(PROFILES[form.partition(":")[2]], digests=False) if name == _EMULATED else None
            found.append({
                "target": form, "gives": gives, "state": state.state if state else None,
                "about": PROFILES[form.partition(":")[2]].describes if state else _ABOUT.get(name, ""),
                "why": state.why if state else "", "hint": state.hint if state else "",
            })  # fmt: skip
    rows = [(one["target"], one["state"] or "", ", ".join(one["gives"]), one["about"]) for one in found]
    return Outcome({"targets": found}, table(rows, ("target", "state", "gives", "")))


_FORMS = {"local": "local", "ssh": "ssh://USER@HOST[:PORT]", "adb": "adb:SERIAL", "ethos-u": "ethos-u:CONFIG"}
_ABOUT = {
    "local": "this machine",
    "ssh": "another one with Python and the runtime, through your own ssh",
    "adb": "an Android device, with TensorFlow Lite's benchmark_model",
    "ethos-u": "Arm's Ethos-U as its compiler, vela, estimates it",
}


@command.command("check")
@click.argument("name", metavar="TARGET")
@reaching_options
@answers("target check")
def check_command(name: str, target_python: str, **options: Any) -> Outcome:
    """Reach TARGET and say what it is and what runs there.

    \b
    Examples:
      mlpack target check ssh://pi@raspberrypi --target-python '~/venv/bin/python'
      mlpack target check emulated:pi4
    """
    from mlpack_edge.devices.targets.target import TargetOptions, open_target

    with closing(open_target(name, TargetOptions(python=target_python, stage=show_stage, **options))) as opened:
        found = opened.describe()
        gives = sorted(opened.gives)
    place = found["environment"]
    facts = [
        ("target", name),
        ("cpu", str(place.get("cpu") or "-")),
        ("cores", str(place.get("cores") or "-")),
        ("system", str(place.get("kernel") or "-")),
        ("python", str(found.get("python") or "-")),
        *((package, version or "absent") for package, version in (found.get("runtimes") or {}).items()),
        ("gives", ", ".join(gives)),
    ]
    if place.get("emulated"):
        facts.append(("emulated", f"by {place['emulated']}: no time is measured here"))
    return Outcome({"target": name, "gives": gives, **found}, table(facts))
