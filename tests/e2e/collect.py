"""In: a Metaflow datastore, a flow and a run. Out: on stdout, JSON of step -> the artifacts of each finished task, task ids left out.

Run as a process of its own, because Metaflow reads its settings from the environment when it is imported.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """A JSON value that is equal where two artifacts are, for all that the flows here store."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, bytes):
        return f"bytes {value.hex()}"
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(plain(v) for v in value)]
    if isinstance(value, dict):
        return {str(k): plain(value[k]) for k in sorted(value, key=str)}
    if hasattr(value, "exception") and hasattr(value, "type"):
        return f"exception {value.type}: {value.exception}"
    return f"{type(value).__name__} {re.sub(r'0x[0-9a-f]+', '0x', str(value))}"


def artifacts(task: Any) -> dict[str, Any]:
    """A task's artifacts by name; names that begin with an underscore are Metaflow's own."""
    return {name: plain(task[name]) for name in sorted(n for n, _ in task.items()) if not name.startswith("_")}


def mirror(root: str, flow: str, run: str, folder: Path) -> None:
    """Copy a run, and the values that the flow's runs share, from S3 into a folder; Metaflow's own client takes a process a value."""
    import boto3

    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    client = boto3.client("s3", endpoint_url=os.environ["METAFLOW_S3_ENDPOINT_URL"])
    for part in (f"{flow}/{run}/", f"{flow}/data/"):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/{part}"):
            for entry in page.get("Contents", []):
                target = folder / entry["Key"].removeprefix(f"{prefix}/")
                target.parent.mkdir(parents=True, exist_ok=True)
                client.download_file(bucket, entry["Key"], str(target))


def collect(kind: str, root: str, flow: str, run: str) -> dict[str, list[dict[str, Any]]]:
    from metaflow.datastore import FlowDataStore
    from metaflow.plugins import DATASTORES

    storage = next(d for d in DATASTORES if kind == d.TYPE)
    store = FlowDataStore(flow, None, storage_impl=storage, ds_root=root)
    backend = storage(root)
    steps = sorted(backend.basename(entry.path) for entry in backend.list_content([f"{flow}/{run}"]) if not entry.is_file)
    found: dict[str, list[dict[str, Any]]] = {}
    for step in steps:
        if step == "_parameters":
            continue
        tasks = [artifacts(task) for task in store.get_task_datastores(run_id=run, steps=[step])]
        if tasks:
            found[step] = sorted(tasks, key=lambda task: json.dumps(task, sort_keys=True))
    return found


def main(kind: str, root: str, flow: str, run: str) -> dict[str, list[dict[str, Any]]]:
    if kind != "s3":
        return collect(kind, root, flow, run)
    with tempfile.TemporaryDirectory(prefix="flowc-collect-") as folder:
        mirror(root, flow, run, Path(folder))
        return collect("local", folder, flow, run)


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:5]), sys.stdout, sort_keys=True)
