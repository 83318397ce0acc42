"""A store: a directory that says what it is, with one writer at a time, into which files appear whole."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault, publish
from mlpack_edge.core.lock import Lock
from mlpack_edge.fleet.layout import DRAFTS, LOCK, MANIFEST, SPECS
from mlpack_edge.profiles.drift.clusters import SHARDS
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest, read_spec, spec_text

SCHEMA = 1
KIND = "mlpack-fleet-store"
_HINT = "mlpack fleet ingest DIR --store STORE --spec SPEC makes one"


@dataclass(frozen=True, slots=True)
class KnownSpec:
    """A spec and the digest that its reports carry, 16 bytes."""

    digest: bytes
    spec: Spec


class Store:
    """An existing store, for readers and for the one writer. specs: in the order in which they came."""

    def __init__(self, root: Path, specs: tuple[KnownSpec, ...]) -> None:
        self.root = root
        self.specs = specs

    def publish(self, draft: Path, name: Path) -> None:
        """Rename a draft to `name` (relative to the store) so that it is there after a power cut. Folders are made. Raises OSError."""
        self.make_folder(name.parent)
        _sync(draft)
        draft.rename(self.root / name)
        _sync(self.root / name.parent)

    def make_folder(self, folder: Path) -> None:
        """folder: relative to the store; its parents too, each of them synced into the one above."""
        missing = []
        while not (self.root / folder).is_dir():
            missing.append(folder)
            folder = folder.parent
        for name in reversed(missing):
            (self.root / name).mkdir()
            _sync((self.root / name).parent)

    @property
    def drafts(self) -> Path:
        return self.root / DRAFTS


def open_store(root: Path) -> Store:
    """Raises BadInput where there is no store, or one of a later schema; IoFault where it cannot be read."""
    try:
        text = (root / MANIFEST).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as fault:
        raise BadInput(f"{root} is no fleet store", _HINT, why=f"it holds no {MANIFEST}") from fault
    except UnicodeDecodeError as fault:
        raise _damaged(root) from fault
    except OSError as fault:
        raise io_fault(fault, f"{root / MANIFEST} could not be read") from fault
    return Store(root, tuple(_known(root, name) for name in _spec_names(root, text)))


@contextlib.contextmanager
def writing(root: Path, given: tuple[Spec, ...]) -> Iterator[Store]:
    """The store to write to, made where there is none, with the given specs beside those that it has.

    Raises IoFault where another process writes to it, BadInput where the directory is something else or no spec is known.
    Drafts of a run that was killed are removed.
    """
    _expect_store_or_nothing(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sync(root.parent)
    except OSError as fault:
        raise io_fault(fault, f"{root} could not be made") from fault
    with Lock(root / LOCK, f"the store {root}"):
        try:
            store = _with_specs(root, given)
            shutil.rmtree(store.drafts, ignore_errors=True)
            store.drafts.mkdir(exist_ok=True)
            yield store
        except OSError as fault:
            raise io_fault(fault, f"the store {root} could not be written") from fault
        finally:
            shutil.rmtree(root / DRAFTS, ignore_errors=True)


def _with_specs(root: Path, given: tuple[Spec, ...]) -> Store:
    before = open_store(root).specs if (root / MANIFEST).exists() else ()
    known = {each.digest: each for each in before}
    for spec in given:
        name = digest(spec)[:16]
        known.setdefault(name, KnownSpec(name, spec))
    if not known:
        raise BadInput(f"{root} knows no spec yet", "name with --spec the spec of the reports")
    if len(known) > len(before) or not (root / MANIFEST).exists():
        (root / SPECS).mkdir(exist_ok=True)
        _sync(root)
        for each in known.values():
            path = root / SPECS / f"{each.digest.hex()}.json"
            if not path.exists():
                with publish(path, force=True) as draft:
                    draft.write_text(spec_text(each.spec), encoding="utf-8")
        listed = [{"digest": each.digest.hex(), "model_sha256": each.spec.model_sha256} for each in known.values()]
        record = {"kind": KIND, "schema": SCHEMA, "shards": SHARDS, "specs": listed}
        with publish(root / MANIFEST, force=True) as draft:
            draft.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return Store(root, tuple(known.values()))


def _expect_store_or_nothing(root: Path) -> None:
    """A directory that holds other things is not written into: it was surely not meant."""
    ours = {LOCK, DRAFTS, SPECS}
    try:
        found = {entry.name for entry in root.iterdir()} if root.exists() else set()
    except OSError as fault:
        raise io_fault(fault, f"{root} is no directory that can be used") from fault
    if MANIFEST not in found and not {name for name in found if not name.endswith(".part")} <= ours:
        raise BadInput(
            f"{root} holds other things and is no fleet store", "name an empty directory, or one that is not there"
        )


def _spec_names(root: Path, text: str) -> list[str]:
    try:
        record = json.loads(text)
    except ValueError as fault:
        raise _damaged(root) from fault
    if not isinstance(record, dict) or record.get("kind") != KIND or not isinstance(record.get("schema"), int):
        raise _damaged(root)
    if record["schema"] > SCHEMA:
        raise BadInput(
            f"{root} was written by a later mlpack (schema {record['schema']}; this one reads up to {SCHEMA})",
            "update mlpack-edge",
        )
    try:
        return [str(bytes.fromhex(each["digest"]).hex()) for each in record["specs"]]
    except (KeyError, TypeError, ValueError) as fault:
        raise _damaged(root) from fault


def _damaged(root: Path) -> BadInput:
    return BadInput(f"{root / MANIFEST} is damaged", "restore it from a backup of the store")


def _known(root: Path, name: str) -> KnownSpec:
    spec = read_spec(root / SPECS / f"{name}.json")
    if digest(spec)[:16].hex() != name:
        raise BadInput(f"{root / SPECS}/{name}.json is another spec", "put the spec of that digest there")
    return KnownSpec(bytes.fromhex(name), spec)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
