"""Other detectors on the same windows, each in an environment of its own, with its defaults."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path

from drift_data import Case
from peer_environments import python_in

SCRIPTS = Path(__file__).parent / "drift_peer_scripts"
#: Packages by peer; the script has the same name.
PEERS: dict[str, tuple[str, ...]] = {
    "evidently": ("evidently==0.7.21", "pandas==2.3.3"),
    "nannyml": ("nannyml==0.13.1", "statsmodels==0.15.0"),
    "alibi": ("alibi-detect==0.13.0",),
}


def judged(folder: Path, peer: str, case: Case, windows: int) -> dict[str, list[set[str]]]:
    """By detector of the peer, the columns that alarm in each of the first `windows` windows."""
    python = python_in(folder / "environments" / peer, PEERS[peer])
    job = folder / "case.pickle"
    said = {"reference": case.reference, "windows": [table for table, _ in case.windows[:windows]]}
    job.write_bytes(pickle.dumps(said))
    line = [str(python), str(SCRIPTS / f"{peer}.py"), str(job)]
    ran = subprocess.run(line, check=True, capture_output=True, text=True)
    return {name: [set(alarms) for alarms in found] for name, found in json.loads(ran.stdout.splitlines()[-1]).items()}
