"""The power goes at any moment of a run: the table is the old one or the new one, and the next run makes it the new one."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlpack_edge.batch.incremental import divide
from mlpack_edge.batch.manifest import Manifest
from mlpack_edge.batch.outputs.output import output_of
from mlpack_edge.batch.plan import Plan
from tests.batch.outputs.runs import input_file, plan_of, run
from tests.batch.power import RecordingDisk

Content = dict[str, bytes] | None


def _content(out: Path) -> Content:
    if not out.is_dir() or not any(out.iterdir()):
        return None
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def _first(out: Path) -> Callable[[], Plan]:
    return lambda: plan_of(str(out), [input_file("a", 2), input_file("b", 1)], partition_by="version")


def _second(out: Path) -> Callable[[], Plan]:
    run(plan_of(str(out), [input_file("a", 2)]), reject=True)
    return lambda: plan_of(str(out), [input_file("a", 4, version=2)])


def _incremental(out: Path) -> Callable[[], Plan]:
    first, _ = run(plan_of(str(out), [input_file("a", 2), input_file("b", 2)], incremental=True), reject=True)

    def plan() -> Plan:
        division = divide(first, [input_file("a", 2), input_file("b", 2, version=2), input_file("c", 2)])
        return plan_of(str(out), division.scored, division.kept, incremental=True)

    return plan


SCENES = {"nothing was there": _first, "a table is replaced": _second, "a table is added to": _incremental}


class _Scene:
    """A recorded run under `here/recorded`, and the tables before and after it."""

    def __init__(self, here: Path, prepare: Callable[[Path], Callable[[], Plan]], disk: type[RecordingDisk]) -> None:
        self.here = here
        recorded = here / "recorded"
        recorded.mkdir()
        out = recorded / "scores"
        make = prepare(out)
        self.old = _content(out)
        self.old_manifest = output_of(str(out)).last()
        self.plan = make()
        self.disk = disk(recorded)
        self.manifest, _ = run(self.plan, self.disk, reject=True)
        self.new = _content(out)

    def moments(self, seeds: int) -> Iterator[tuple[int, Path]]:
        """(moment, a tree after the loss) for every moment, with everything lost, and several selections lost."""
        for moment in range(len(self.disk.steps) + 1):
            for seed in range(-1, seeds):
                chance = None if seed < 0 else random.Random(1000 * moment + seed)
                tree = self.here / "tree"
                tree.mkdir()
                self.disk.after_power_loss(moment, chance, tree, keep=0.9 if seed % 2 else 0.5)
                yield moment, tree
                shutil.rmtree(tree)

    def table(self, tree: Path) -> tuple[Content, Manifest | None]:
        return _content(tree / "scores"), output_of(str(tree / "scores")).last()


@pytest.mark.parametrize("scene", SCENES)
def test_at_every_moment_the_table_is_the_old_one_or_the_new_one_with_its_record(tmp_path: Path, scene: str) -> None:
    made = _Scene(tmp_path, SCENES[scene], RecordingDisk)
    seen = set()
    for moment, tree in made.moments(3):
        content, manifest = made.table(tree)
        assert (content, manifest) in ((made.old, made.old_manifest), (made.new, made.manifest)), moment
        seen.add(content == made.new)
        if manifest is not None and manifest.quarantine is not None:
            rejected = output_of(str(tree / "scores")).rejected_file(manifest)
            assert rejected is not None
            assert len(rejected.read_bytes()) == manifest.quarantine.bytes
    assert seen == {False, True}
    assert made.table(made.here / "recorded") == (made.new, made.manifest)


@pytest.mark.parametrize("scene", SCENES)
def test_the_next_run_finishes_what_was_begun_and_leaves_nothing_else(tmp_path: Path, scene: str) -> None:
    made = _Scene(tmp_path, SCENES[scene], RecordingDisk)
    finished = [f"published-{made.manifest.digest[:16]}", "lock"]
    for moment, tree in made.moments(1):
        out = tree / "scores"
        if output_of(str(out)).last() != made.manifest:  # else there is nothing to do
            run(_moved(made.plan, out), reject=True)
            work = tree / ".scores.mlpack"
            there = [f"replaced-{made.plan.run_key[:16]}"] if made.old is not None else []
            assert sorted(path.name for path in work.iterdir()) == sorted([*finished, *there]), moment
        assert made.table(tree) == (made.new, made.manifest), moment


def _moved(plan: Plan, out: Path) -> Plan:
    """The same plan for the same output elsewhere: where a table lies is no part of its run's key."""
    from dataclasses import replace

    return replace(plan, job=replace(plan.job, output=str(out)))


class _WithoutFiles(RecordingDisk):
    """Forgets to sync the bytes of files."""

    def sync_file(self, path: Path) -> None:
        pass


class _WithoutFolders(RecordingDisk):
    """Forgets to sync directories."""

    def sync_folder(self, path: Path) -> None:
        pass


@pytest.mark.parametrize("disk", [_WithoutFiles, _WithoutFolders])
def test_a_run_that_forgot_to_sync_would_be_found_out(tmp_path: Path, disk: type[RecordingDisk]) -> None:
    made = _Scene(tmp_path, _second, disk)
    fine = ((made.old, made.old_manifest), (made.new, made.manifest))
    assert any(made.table(tree) not in fine for _, tree in made.moments(6))


def test_a_finished_run_is_on_the_disk_whatever_else_is_lost(tmp_path: Path) -> None:
    made = _Scene(tmp_path, _second, RecordingDisk)
    tree = tmp_path / "tree"
    tree.mkdir()
    made.disk.after_power_loss(len(made.disk.steps), None, tree)
    assert made.table(tree) == (made.new, made.manifest)
