"""Whatever ends a run, the next one ends with every sound report once, and none lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlpack_edge.core.errors import IoFault
from mlpack_edge.fleet.store import writing
from mlpack_edge.profiles.spec_file import write_spec
from tests.cli.mlpack import LINE
from tests.fleet.made import SPEC, ids, ids_of, put, report, table, take

ROOT = Path(__file__).parent.parent.parent
REPORTS = [report(device, day) for device in range(12) for day in (1, 7, 8, 9, 10, 40)]
DAMAGED = REPORTS[0][:80] + b"\0" + REPORTS[0][81:]

#: Ends itself with SIGKILL at the N-th step that changes the disk, before or after it.
_KILLED = """
import os, signal, sys
from pathlib import Path
from mlpack_edge.fleet import intake, parts
from tests.fleet.made import take
at, after = int(sys.argv[1]), sys.argv[2] == "after"
steps = 0
def step(real):
    def counted(*given, **named):
        global steps
        steps += 1
        if steps == at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*given, **named)
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return counted
for name in ("rename", "unlink", "mkdir", "write_bytes"):
    setattr(Path, name, step(getattr(Path, name)))
os.fsync = step(os.fsync)
intake.TOGETHER, intake.FILES_TOGETHER, parts.GATHERED = 20, 4, 20_000
take(Path("store"), Path("up"), remove=True)
print(steps)
"""


def uploads(folder: Path) -> None:
    for number in range(0, len(REPORTS), 6):
        put(folder / "up", f"{number:03}.cbor", *REPORTS[number : number + 6], *([DAMAGED] if number == 12 else []))


def run(folder: Path, at: int, when: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    line = [sys.executable, "-c", _KILLED, str(at), when]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def assert_whole(store: Path) -> None:
    assert ids(store) == ids_of(REPORTS)
    found = [
        json.loads(line) for path in (store / "quarantine").rglob("*.jsonl") for line in path.read_text().splitlines()
    ]
    assert [line["bytes"] for line in found] == [len(DAMAGED)]
    assert not (store / "drafts").exists()


@pytest.mark.long
def test_a_kill_at_any_step_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """With --remove, which could lose what was not yet on the disk. Twelve steps of all, before and after them."""
    whole = tmp_path / "whole"
    uploads(whole)
    done = run(whole, 0, "after")
    steps = int(done.stdout)
    assert_whole(whole / "store")
    assert not any((whole / "up").iterdir())
    chance = random.Random(2)
    chosen = sorted({1, steps, *chance.sample(range(2, steps), 10)})
    left = set()
    for number, at in enumerate(chosen):
        folder = tmp_path / f"{at}"
        uploads(folder)
        assert run(folder, at, ("before", "after")[number % 2]).returncode == -signal.SIGKILL
        left.add(len(ids(folder / "store")) if (folder / "store").exists() else 0)
        assert ids(folder / "store") | ids_of(_reports_in(folder / "up")) >= ids_of(REPORTS), "a report is lost"
        take(folder / "store", folder / "up", remove=True)
        assert_whole(folder / "store")
    assert len(left) > 3, "the run was not killed in its middle"


def _reports_in(folder: Path) -> list[bytes]:
    content = [path.read_bytes() for path in sorted(folder.iterdir())]
    return [one for one in REPORTS if any(one in file for file in content)]


@pytest.mark.long
def test_the_command_killed_at_random_times_and_run_again_stores_everything_once(tmp_path: Path) -> None:
    uploads(tmp_path)
    write_spec(tmp_path / "spec.json", SPEC, False)
    words = ["fleet", "ingest", "up", "--store", "store", "--spec", "spec.json", "--settled", "1ms", "--remove"]
    lock, killed, chance = tmp_path / "store/lock", 0, random.Random(4)
    for _ in range(10):
        with subprocess.Popen(
            [*LINE, *words], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as run:
            while run.poll() is None and f'"pid": {run.pid},' not in (lock.read_text() if lock.exists() else ""):
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.2))
            if run.poll() is None:
                os.kill(run.pid, signal.SIGKILL)
                killed += 1
    assert killed, "every run was done before it could be killed"
    assert subprocess.run([*LINE, *words], cwd=tmp_path, check=False, capture_output=True).returncode == 0
    assert ids(tmp_path / "store") == ids_of(REPORTS)
    assert not any((tmp_path / "up").iterdir())


def test_one_writer_at_a_time_and_the_other_is_told_who(tmp_path: Path) -> None:
    uploads(tmp_path)
    with writing(tmp_path / "store", (SPEC,)), pytest.raises(IoFault, match="is writing the store") as refused:
        take(tmp_path / "store", tmp_path / "up")
    assert "wait until it is done" in refused.value.hint
    take(tmp_path / "store", tmp_path / "up")
    assert_whole(tmp_path / "store")


@pytest.mark.long
def test_two_ingests_at_once_store_everything_once(tmp_path: Path) -> None:
    uploads(tmp_path)
    write_spec(tmp_path / "spec.json", SPEC, False)
    words = ["fleet", "ingest", "up", "--store", "store", "--spec", "spec.json", "--settled", "1ms"]
    runs = [
        subprocess.Popen([*LINE, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [(one.communicate(timeout=120)[1], one.returncode) for one in runs]
    assert any(code == 0 for _, code in said)
    assert all(code == 0 or "is writing the store" in text for text, code in said), said
    assert_whole(tmp_path / "store")


def test_half_a_manifest_is_never_there(tmp_path: Path) -> None:
    """What a run leaves that ended before the manifest is taken up by the next."""
    (tmp_path / "store/drafts").mkdir(parents=True)
    (tmp_path / "store/drafts/part-1.parquet").write_bytes(b"half")
    (tmp_path / "store/lock").touch()
    (tmp_path / "store/specs").mkdir()
    uploads(tmp_path)
    take(tmp_path / "store", tmp_path / "up")
    assert_whole(tmp_path / "store")


def _mounts() -> bool:
    tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


_FULL = """
import sys
import time
from pathlib import Path
from mlpack_edge.core.errors import IoFault
from tests.fleet.made import ids, ids_of, take
from tests.fleet.test_faults import REPORTS, assert_whole
store, up = Path("/mnt/store"), Path(sys.argv[1]) / "up"
take(store, up / "000.cbor")
filler = Path("/mnt/filler")
with filler.open("wb", buffering=0) as stream:
    try:
        while True:
            stream.write(bytes(4096))
    except OSError:
        pass
try:
    take(store, up, remove=True)
except IoFault as fault:
    print(fault.why, "|", fault.hint)
assert len(list(up.iterdir())) == 12, "removed before it was stored"
assert ids(store) == ids_of(REPORTS[:6])
filler.unlink()
take(store, up, remove=True)
assert_whole(store)
assert not list(up.iterdir())
"""


@pytest.mark.skipif(not _mounts(), reason="a small file system cannot be mounted here")
def test_on_a_full_disk_nothing_is_removed_and_the_next_run_goes_on(tmp_path: Path) -> None:
    uploads(tmp_path)
    script = tmp_path / "full.py"
    script.write_text(_FULL)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = f'mount -t tmpfs -o size=2m none /mnt && PYTHONPATH="{path}" "{sys.executable}" "{script}" "{tmp_path}"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "No space left on device | free some space on that file system, or write elsewhere"


_READ_ONLY = """
import sys
from pathlib import Path
from mlpack_edge.core.errors import IoFault
from mlpack_edge.fleet.reading import Selection, days
from mlpack_edge.fleet.status import status
from mlpack_edge.fleet.store import open_store
from tests.fleet.made import take
store = open_store(Path(sys.argv[1]) / "store")
assert status(store).specs[0].everything.reports == sum(day.reports for day in days(store, store.specs[0], Selection())) == 72
try:
    take(store.root, Path(sys.argv[1]) / "up", remove=True)
except IoFault as fault:
    print(fault.why, "|", fault.hint)
assert len(list((Path(sys.argv[1]) / "up").iterdir())) == 12
"""


@pytest.mark.skipif(not _mounts(), reason="a file system cannot be mounted read-only here")
def test_a_store_that_is_read_only_can_be_read_and_is_not_taken_into(tmp_path: Path) -> None:
    uploads(tmp_path)
    take(tmp_path / "store", tmp_path / "up")
    script, store = tmp_path / "read.py", tmp_path / "store"
    script.write_text(_READ_ONLY)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = f'mount --bind "{store}" "{store}" && mount -o remount,ro,bind "{store}" && PYTHONPATH="{path}" "{sys.executable}" "{script}" "{tmp_path}"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "Read-only file system | the file system is read-only: write elsewhere"


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    from mlpack_edge.core.errors import BadInput
    from mlpack_edge.fleet.reading import Selection, days
    from mlpack_edge.fleet.store import open_store

    uploads(tmp_path)
    take(tmp_path / "store", tmp_path / "up")
    path = tmp_path / "store" / str(table(tmp_path / "store")["path"][0])
    path.write_bytes(path.read_bytes()[:-40])
    store = open_store(tmp_path / "store")
    with pytest.raises(BadInput, match=path.name):
        list(days(store, store.specs[0], Selection()))
    with pytest.raises(BadInput, match=path.name):
        take(tmp_path / "store", tmp_path / "up")
