"""The run's folder knows which shards are complete, whatever happened to the run that made them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpack_edge.batch.disk import Disk
from mlpack_edge.batch.ledger import RunFolder
from mlpack_edge.batch.plan import Plan
from mlpack_edge.core.errors import IoFault
from tests.batch.outputs.runs import input_file, plan_of, work


def _plan(version: int = 1) -> Plan:
    return plan_of("scores", [input_file("a", 6, version=version)])


def _folder(here: Path, disk: Disk | None = None) -> RunFolder:
    return RunFolder(here / ".scores.mlpack", "scores", disk)


def _begun(here: Path, plan: Plan, shards: int = 3) -> Path:
    """A run that was killed after so many shards."""
    with _folder(here) as folder:
        folder.lock()
        folder.begin(plan)
        work(plan, folder.shards_path, plan.shards[:shards], reject=True)
        return folder.shards_path


def _complete(here: Path, plan: Plan) -> list[int]:
    with _folder(here) as folder:
        folder.lock()
        folder.begin(plan)
        return [facts.index for facts in folder.complete_shards(plan)]


def test_a_run_of_the_same_key_is_taken_up_with_its_shards(tmp_path: Path) -> None:
    path = _begun(tmp_path, _plan(), shards=2)
    with _folder(tmp_path) as folder:
        folder.lock()
        assert folder.begin(_plan()).resumed
        found = folder.complete_shards(_plan())
    assert [facts.index for facts in found] == [0, 1]
    assert [facts.rows_out for facts in found] == [2, 2]
    assert sorted(entry.name for entry in path.iterdir()) == ["00000", "00001"]


def test_a_run_of_another_key_is_dropped_and_what_changed_is_said(tmp_path: Path) -> None:
    path = _begun(tmp_path, _plan())
    with _folder(tmp_path) as folder:
        folder.lock()
        begun = folder.begin(_plan(version=2))
    assert not begun.resumed
    assert begun.changed == ("input a changed",)
    assert not path.exists()


def test_fresh_begins_anew(tmp_path: Path) -> None:
    _begun(tmp_path, _plan())
    with _folder(tmp_path) as folder:
        folder.lock()
        assert not folder.begin(_plan(), fresh=True).resumed
        assert folder.complete_shards(_plan()) == []


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["part.parquet", "rejected.jsonl", "facts.json"])
@pytest.mark.parametrize("harm", [_truncate, _flip, Path.unlink])
def test_a_shard_whose_files_are_not_what_its_facts_say_is_done_again(
    tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    path = _begun(tmp_path, _plan()) / "00001" / name
    if name == "facts.json" and harm is _flip:
        path.write_text(path.read_text().replace('"rows_in": 2', '"rows_in": 3'))
    else:
        harm(path)
    assert _complete(tmp_path, _plan()) == [0, 2]
    assert not path.parent.exists()


def test_facts_that_point_out_of_the_shard_are_not_followed(tmp_path: Path) -> None:
    path = _begun(tmp_path, _plan())
    record = json.loads((path / "00001" / "facts.json").read_text())
    record["parts"][0]["path"] = "../00000/part.parquet"
    (path / "00001" / "facts.json").write_text(json.dumps(record))
    assert 1 not in _complete(tmp_path, _plan())


def test_drafts_half_built_tables_and_strangers_among_the_shards_are_removed(tmp_path: Path) -> None:
    path = _begun(tmp_path, _plan(), shards=1)
    (path / ".00001.77.tmp").mkdir()
    (path / ".00001.77.tmp" / "part.parquet").write_text("half")
    (path / "00077").mkdir()
    (path.parent / "table").mkdir()
    (path.parent / "table" / "part").write_text("half")
    assert _complete(tmp_path, _plan()) == [0]
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["plan.json", "shards"]
    assert [entry.name for entry in path.iterdir()] == ["00000"]


def test_a_plan_that_cannot_be_read_begins_the_run_anew(tmp_path: Path) -> None:
    path = _begun(tmp_path, _plan())
    (path.parent / "plan.json").write_text('{"half":')
    assert _complete(tmp_path, _plan()) == []


def test_finishing_removes_the_run_and_what_was_staged_and_keeps_the_account(tmp_path: Path) -> None:
    with _folder(tmp_path) as folder:
        folder.lock()
        folder.begin(_plan())
        (folder.staging / "a.parquet").write_text("staged")
        folder.remember({"rows": 6})
        folder.finish()
        assert folder.remembered() == {"rows": 6}
    assert sorted(path.name for path in folder.root.iterdir()) == ["last.json", "lock"]


class _Syncs(Disk):
    """Remembers what was synced; fails where it is told to."""

    def __init__(self, fault: int = 0) -> None:
        self.synced: list[str] = []
        self.fault = fault

    def sync_file(self, path: Path) -> None:
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault), str(path))
        super().sync_file(path)
        self.synced.append(path.name)


def test_finished_shards_are_synced_beside_the_work_and_all_of_them_before_it_is_settled(tmp_path: Path) -> None:
    disk = _Syncs()
    with _folder(tmp_path, disk) as folder:
        folder.lock()
        folder.begin(_plan())
        disk.synced.clear()
        for facts in work(_plan(), folder.shards_path, _plan().shards):
            folder.finished(facts)
        folder.settle()
        assert disk.synced == ["facts.json", "part.parquet"] * 3
        folder.settle()


def test_a_disk_that_fails_to_sync_stops_the_run(tmp_path: Path) -> None:
    disk = _Syncs()
    with _folder(tmp_path, disk) as folder:
        folder.lock()
        folder.begin(_plan())
        disk.fault = errno.EIO
        folder.finished(work(_plan(), folder.shards_path, _plan().shards[:1])[0])
        with pytest.raises(IoFault, match="could not be brought to the disk") as fault:
            folder.settle()
        assert fault.value.why == os.strerror(errno.EIO)


def test_without_a_parent_or_in_a_file_no_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(IoFault, match="does not exist"), _folder(tmp_path / "no") as folder:
        folder.lock()
    (tmp_path / ".scores.mlpack").write_text("a file")
    with pytest.raises(IoFault), _folder(tmp_path) as folder:
        folder.lock()
