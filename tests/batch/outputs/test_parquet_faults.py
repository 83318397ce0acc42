"""Readers, kills, full and read-only disks: a directory is the old table or the new one, and nothing is lost."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.dataset
import pytest

from mlpack_edge.batch.disk import Disk
from mlpack_edge.batch.outputs.output import output_of
from mlpack_edge.batch.plan import Plan
from mlpack_edge.core.errors import IoFault
from tests.batch.outputs.runs import input_file, plan_of, run

ROOT = Path(__file__).parents[3]

_READER = """
import sys, time
out, stop, how = sys.argv[1], sys.argv[2], sys.argv[3]
import os
if how == "polars":
    import polars
    read = lambda: sorted(polars.read_parquet(out, columns=["version", "source_row"]).rows())
elif how == "pyarrow":
    import pyarrow.dataset
    columns = ["version", "source_row"]
    read = lambda: sorted(tuple(r.values()) for r in pyarrow.dataset.dataset(out).to_table(columns).to_pylist())
else:
    import duckdb
    read = lambda: sorted(duckdb.sql(f"SELECT version, source_row FROM '{out}/**/*.parquet'").fetchall())
whole = [[(1, row) for row in range(40)], [(2, row) for row in range(24)]]
counts = [0, 0, 0]
print("ready", flush=True)
while not os.path.exists(stop):
    try:
        rows = read()
    except Exception as fault:
        said = str(fault)
        gone = ("No such file", "No files found", "does not exist", "No match for FieldRef")
        assert any(words in said for words in gone), said
        counts[2] += 1
        continue
    assert rows in whole, rows
    counts[whole.index(rows)] += 1
print(*counts, flush=True)
"""


def _old(out: Path) -> Plan:
    return plan_of(str(out), [input_file("a", 40)])


def _new(out: Path) -> Plan:
    return plan_of(str(out), [input_file("a", 24, version=2)])


@pytest.mark.long
@pytest.mark.parametrize("how", ["polars", "pyarrow", "duckdb"])
def test_readers_see_whole_tables_while_thirty_are_published(tmp_path: Path, how: str) -> None:
    """A file that goes between listing and opening is the reader's error; rows of two tables are never read together.

    pyarrow looks at each file it listed, by its path, and leaves out those that are not there any more: in the moment of an
    exchange all of them. Its dataset then has no columns at all, which a reader that names its columns is told.
    """
    out, stop = tmp_path / "scores", tmp_path / "stop"
    run(_old(out))
    reader = subprocess.Popen([sys.executable, "-c", _READER, out, stop, how], stdout=subprocess.PIPE)
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"ready\n"
    for _ in range(15):
        run(_new(out))
        run(_old(out))
    stop.touch()
    answer = reader.communicate()[0].split()
    assert reader.returncode == 0
    assert int(answer[0]) > 0
    assert int(answer[1]) > 0


_WORKER = """
import sys
from pathlib import Path
from mlpack_edge.batch.outputs.output import output_of
from tests.batch.outputs.runs import run
from tests.batch.outputs.test_parquet_faults import _new, _old
out = Path(sys.argv[1])
plans = [_old(out), _new(out)]
if output_of(str(out)).last().run_key == plans[0].run_key:
    plans.reverse()
print("begun", flush=True)
while True:
    for plan in plans:
        run(plan)
"""


@pytest.mark.long
def test_killed_fifteen_times_anywhere_the_table_is_whole_and_the_next_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    manifests = {run(plan(out))[0].run_key: plan for plan in (_new, _old)}
    chance = random.Random(5)
    seen = set()
    for _ in range(15):
        child = subprocess.Popen([sys.executable, "-c", _WORKER, out], stdout=subprocess.PIPE, cwd=ROOT)
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        time.sleep(chance.uniform(0.0, 1.2))
        child.kill()
        child.communicate()
        last = output_of(str(out)).last()
        assert last is not None
        version = 2 if manifests[last.run_key] is _new else 1
        table = pyarrow.dataset.dataset(out).to_table()
        expected = [(version, row) for row in range(24 if version == 2 else 40)]
        assert sorted(zip(table["version"].to_pylist(), table["source_row"].to_pylist(), strict=True)) == expected
        seen.add(version)
    assert seen == {1, 2}
    run(_new(out))
    assert sorted(path.name.partition("-")[0] for path in (tmp_path / ".scores.mlpack").iterdir()) == [
        "lock",
        "published",
        "replaced",
    ]


class _Failing(Disk):
    """Fails at the operation of that number, as a disk does that is full."""

    def __init__(self, at: int, code: int) -> None:
        self.left = at
        self.code = code

    def _count(self, path: Path) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(self.code, os.strerror(self.code), str(path))

    def make_folder(self, path: Path, mode: int = 0o777) -> None:
        self._count(path)
        super().make_folder(path, mode)

    def link(self, source: Path, name: Path) -> None:
        self._count(name)
        super().link(source, name)

    def sync_file(self, path: Path) -> None:
        self._count(path)
        super().sync_file(path)

    def sync_folder(self, path: Path) -> None:
        self._count(path)
        super().sync_folder(path)

    def exchange(self, a: Path, b: Path) -> None:
        self._count(a)
        super().exchange(a, b)


def test_whatever_operation_fails_the_table_is_whole_and_the_next_run_finishes(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    kept = plan_of(str(out), [input_file("a", 2)])
    changed = plan_of(str(out), [input_file("a", 4, version=2)])
    faults = []
    for at in range(1, 200):
        old, _ = run(kept)
        try:
            run(changed, _Failing(at, errno.ENOSPC), reject=True)
        except IoFault as fault:
            faults.append(fault)
        except OSError:
            pass  # a shard of the test's own worker
        else:
            break
        last = output_of(str(out)).last()
        assert last is not None
        assert last.run_key in (old.run_key, changed.run_key)
        run(changed, reject=True)
        assert pyarrow.dataset.dataset(out).count_rows() == 4
    assert len(faults) > 20
    assert {fault.hint for fault in faults} == {"free some space on that file system, or write elsewhere"}


def test_where_directories_cannot_be_exchanged_a_first_table_is_written_and_a_second_refused_before_the_work(
    tmp_path: Path,
) -> None:
    class Plain(Disk):
        def exchange(self, a: Path, b: Path) -> None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    out = tmp_path / "scores"
    run(_old(out), Plain())
    with pytest.raises(IoFault, match="cannot exchange two directories"):
        run(_new(out), Plain())
    assert not list((tmp_path / ".scores.mlpack").glob("run-*/shards/*"))


def test_where_there_are_no_hard_links_the_parts_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(source: Path, name: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", none)
    run(_old(tmp_path / "scores"))
    assert pyarrow.dataset.dataset(tmp_path / "scores").count_rows() == 40


def _mounts() -> bool:
    tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


_FULL = """
import sys
from pathlib import Path
from mlpack_edge.batch.outputs.output import output_of
from mlpack_edge.core.errors import IoFault
from tests.batch.outputs.runs import run
from tests.batch.outputs.test_parquet_faults import _new, _old
import pyarrow.dataset
out = Path("/mnt/scores")
run(_old(out))
filler = Path("/mnt/filler")
with filler.open("wb", buffering=0) as stream:
    try:
        while True:
            stream.write(bytes(4096))
    except OSError:
        pass
try:
    run(_new(out))
except (IoFault, OSError) as fault:
    print(fault.hint if isinstance(fault, IoFault) else fault)
assert pyarrow.dataset.dataset(out).count_rows() == 40
assert output_of(str(out)).last().run_key == _old(out).run_key
filler.unlink()
run(_new(out))
assert pyarrow.dataset.dataset(out).count_rows() == 24
"""


@pytest.mark.skipif(not _mounts(), reason="a small file system cannot be mounted here")
def test_on_a_full_disk_the_old_table_stays_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    script = tmp_path / "full.py"
    script.write_text(_FULL)
    command = f'mount -t tmpfs -o size=2m none /mnt && PYTHONPATH="{ROOT}" "{sys.executable}" "{script}"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in (
        "free some space on that file system, or write elsewhere",
        "[Errno 28] No space left on device",
    )


@pytest.mark.skipif(not _mounts(), reason="a read-only file system cannot be mounted here")
def test_a_read_only_file_system_is_an_io_fault(tmp_path: Path) -> None:
    script = tmp_path / "readonly.py"
    script.write_text(
        "from pathlib import Path\n"
        "from mlpack_edge.core.errors import IoFault\n"
        "from tests.batch.outputs.runs import run\n"
        "from tests.batch.outputs.test_parquet_faults import _old\n"
        "try:\n    run(_old(Path('/mnt/scores')))\n"
        "except IoFault as fault:\n    print(fault.hint)\n"
    )
    command = f'mount -t tmpfs -o ro none /mnt && PYTHONPATH="{ROOT}" "{sys.executable}" "{script}"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "the file system is read-only: write elsewhere", done.stderr
