"""The result file of benchmarks.gpu.check: read, added to, and never half written."""

import json
import os
from pathlib import Path


def read_record(path: Path) -> dict:
    """What the file holds; empty where it does not exist."""
    return json.loads(path.read_text()) if path.exists() else {}


def write_record(path: Path, record: dict) -> None:
    """A process that is killed meanwhile leaves the file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".half")
    half.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(half, path)


def add_stage(path: Path, name: str, facts: dict) -> None:
    """How a stage ended, in the place of what an earlier run of it left."""
    record = read_record(path)
    write_record(path, record | {"stages": record.get("stages", {}) | {name: facts}})
