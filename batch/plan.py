"""What a run will read, in which pieces, and what makes it the same run: pure values.

Shards follow from the inputs alone, never from the number of workers, the batch size or the memory: a run that is
taken up again by another machine cuts the rows in the same places, and so gives the same bits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mlpack_edge.batch.job import DECIDING, Job, job_from_json

#: Rows of a shard: what is lost and done again when a run is killed, and what two workers can differ by at its end.
SHARD_ROWS = 1 << 18
#: Changes when the same inputs would give another table.
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an input was: two inputs are the same where their fingerprints are.

    digest: SHA-256, of the whole file (`whole`) or of its Parquet footer, which does not see every change: then the time
    of writing counts too. size in bytes, mtime_ns as stat(2) gives it.
    """

    size: int
    mtime_ns: int
    digest: str
    whole: bool

    def key(self) -> dict[str, Any]:
        """The part that is compared."""
        return {"size": self.size, "digest": self.digest, **({} if self.whole else {"mtime_ns": self.mtime_ns})}


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input. `name` is what its rows carry as their source; `path` is the local file that is read.

    format: "parquet" or "arrow"; other inputs are staged as Parquet first (`staged`; `path` then lies in the run's folder,
    and the fingerprint is that of what was staged from). skip: rows at the start that an earlier run scored.
    constants: columns that the directory names say (`month=7/`), by name. elsewhere: it came from a database, a query or a URL;
    no file of the user's can be looked at, and the fingerprint's time of writing says nothing.
    """

    name: str
    path: str
    format: str
    rows: int
    fingerprint: Fingerprint
    constants: tuple[tuple[str, str | int | None], ...] = ()
    staged: bool = False
    skip: int = 0
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Shard:
    """Rows `start` to `start + rows` of input `file` (an index into the plan's inputs), counted from 0 in the file.

    They lie in the row groups (Parquet) or record batches (Arrow) `groups`, of which the first begins at row `base`.
    """

    index: int
    file: int
    start: int
    rows: int
    groups: tuple[int, ...]
    base: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """format: "onnx" or "tflite". prefix: what its outputs' names begin with ("" or "challenger_").

    sha256: of the file; where it keeps weights in other files (`external`), of the digests of all of them, in order.
    signature: the JSON form of its Signature.
    """

    path: str
    format: str
    sha256: str
    prefix: str = ""
    external: tuple[str, ...] = ()
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """inputs: what is read. kept: inputs whose rows an earlier run scored, which stay in the table (incremental runs).

    schema: of the input, an Arrow schema as base64 of its IPC form. reads: the columns that are read at all.

    contract: its text, "" where there is none. versions: packages that decide the bits of a score. profile: the text of the
    spec that the rows are counted by, "" where they are not.
    """

    job: Job
    models: tuple[ModelFile, ...]
    inputs: tuple[InputFile, ...]
    kept: tuple[InputFile, ...]
    shards: tuple[Shard, ...]
    schema: str
    reads: tuple[str, ...]
    contract: str
    versions: tuple[tuple[str, str], ...]
    profile: str = ""

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.shards)

    def to_json(self) -> dict[str, Any]:
        record = asdict(self)
        record["job"] = self.job.to_json()
        return record

    def identity(self) -> dict[str, Any]:
        """Everything that decides what the table holds, by what a user would call it; it stands in the manifest."""
        inputs = (*self.inputs, *self.kept)
        return {
            "format": FORMAT,
            "models": {model.prefix or "model": model.sha256 for model in self.models},
            "inputs": {item.name: item.fingerprint.key() for item in inputs},
            **settings(self.job, self.contract, dict(self.versions), self.profile),
        }

    @property
    def run_key(self) -> str:
        """SHA-256 in hexadecimal of the canonical JSON of `identity` and of which rows of it this run scores."""
        scored = {item.name: item.skip for item in self.inputs}
        record = {**self.identity(), "scored": scored, "kept": [item.name for item in self.kept]}
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def settings(job: Job, contract: str, versions: dict[str, str], profile: str) -> dict[str, Any]:
    """The part of an identity that is known before any input is looked at."""
    options = job.to_json()
    return {
        "options": {name: options[name] for name in DECIDING},
        "contract": hashlib.sha256(contract.encode()).hexdigest() if contract else "",
        "versions": versions,
        # Without a profile as before there were any: tables of then stay what they are.
        **({"profile": hashlib.sha256(profile.encode()).hexdigest()} if profile else {}),
    }


def plan_from_json(record: dict[str, Any]) -> Plan:
    """What `Plan.to_json` gave, also after a journey as JSON."""
    return Plan(
        job=job_from_json(record["job"]),
        models=tuple(ModelFile(**{**model, "external": tuple(model["external"])}) for model in record["models"]),
        inputs=tuple(input_from_json(item) for item in record["inputs"]),
        kept=tuple(input_from_json(item) for item in record["kept"]),
        shards=tuple(Shard(**{**shard, "groups": tuple(shard["groups"])}) for shard in record["shards"]),
        schema=record["schema"],
        reads=tuple(record["reads"]),
        contract=record["contract"],
        versions=tuple((name, version) for name, version in record["versions"]),
        profile=record.get("profile", ""),
    )


def input_from_json(record: dict[str, Any]) -> InputFile:
    """What `dataclasses.asdict` gave of an InputFile, also after a journey as JSON."""
    made = {**record, "fingerprint": Fingerprint(**record["fingerprint"])}
    made["constants"] = tuple((name, value) for name, value in record["constants"])
    return InputFile(**made)


def cut_shards(groups_of_files: Sequence[Sequence[int]], skips: Sequence[int] = ()) -> tuple[Shard, ...]:
    """Shards of at most SHARD_ROWS rows; small row groups of a file go together, a large one is cut.

    groups_of_files: for each input the rows of its row groups. skips: for each input the rows at its start left out.
    A shard never spans two files, nor the end of one group and a part of the next that does not fit as a whole.
    """
    shards: list[Shard] = []
    for file, groups in enumerate(groups_of_files):
        skip = skips[file] if skips else 0
        base = 0  # row at which the first group of `pending` begins
        pending: list[int] = []
        held = 0
        begin = 0
        for group, rows in enumerate(groups):
            if pending and held + rows > SHARD_ROWS:
                _add(shards, file, begin, held, tuple(pending), base, skip)
                base, begin, pending, held = begin + held, begin + held, [], 0
            if rows > SHARD_ROWS:
                for offset in range(0, rows, SHARD_ROWS):
                    piece = min(SHARD_ROWS, rows - offset)
                    _add(shards, file, begin + offset, piece, (group,), begin, skip)
                begin += rows
                base = begin
                continue
            if not pending:
                base = begin
            pending.append(group)
            held += rows
        if held:
            _add(shards, file, begin, held, tuple(pending), base, skip)
    return tuple(shards)


def _add(shards: list[Shard], file: int, start: int, rows: int, groups: tuple[int, ...], base: int, skip: int) -> None:
    """A shard, less the rows before `skip`."""
    gone = min(max(skip - start, 0), rows)
    if rows - gone:
        shards.append(Shard(len(shards), file, start + gone, rows - gone, groups, base))


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two identities (`Plan.identity`), in words, in a fixed order."""
    said = []
    if old.get("models") != new["models"]:
        said += _differences("model", old.get("models", {}), new["models"])
    said += _differences("input", old.get("inputs", {}), new["inputs"])
    said += _differences("option", old.get("options", {}), new["options"])
    if old.get("contract") != new["contract"]:
        said.append("the contract changed")
    if old.get("profile") != new.get("profile"):
        said.append("the spec of the profile changed")
    said += _differences("version of", old.get("versions", {}), new["versions"])
    if old.get("format") != new["format"]:
        said.append("this mlpack writes tables in another form")
    return said


def _differences(what: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    said = [f"{what} {name} is new" for name in new if name not in old]
    said += [f"{what} {name} is gone" for name in old if name not in new]
    said += [f"{what} {name} changed" for name in new if name in old and old[name] != new[name]]
    return said
