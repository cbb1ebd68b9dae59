"""In: single tasks, as engines other than Argo start them. Out: proof of arrays, attempts, results in S3, and tasks that ran already."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from runtime import simulate
from runtime.test_bootstrap_s3 import KEYS, boto3, bucket

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["bucket"]
FAN = simulate.FLOWS / "loops.py"


def fanned(root: Path, **more: object) -> simulate.Engine:
    """An engine whose run has come to the body of its foreach."""
    root.mkdir(exist_ok=True)
    engine = simulate.engine(FAN, root, **more)
    engine.run()
    return engine


@pytest.mark.slow
def test_places_in_an_array_and_tasks_that_ran(tmp_path: Path, bucket: dict[str, str]) -> None:
    """`@` is the index of the array, or what FLOWC_PATHS has there; a task that ran is not run again, told again, or refused
    when it did not. The result of a foreach in S3 lists its indices, which a Map state takes as its items.
    """
    engine = fanned(tmp_path, environment=bucket)
    client = boto3.client("s3", endpoint_url=bucket["METAFLOW_S3_ENDPOINT_URL"], **{k.lower(): v for k, v in KEYS.items() if "KEY" in k})
    result = {"FLOWC_RESULT": "s3://flows/told/"}
    again = ["odd", "--from=descend", "--choose", "--loops=descend", "--path=@"]

    once = engine.start("odd", "", again, {**result, "JOB_COMPLETION_INDEX": "0", "FLOWC_ONCE": "1"})
    assert once.code == 0, once.stderr
    body = client.get_object(Bucket="flows", Key=f"told/{engine.run_id}/odd-0.json")["Body"].read()
    assert json.loads(body) == {"splits": None, "case": "gather", "indices": []}

    listed = {"AWS_BATCH_JOB_ARRAY_INDEX": "1", "AWS_BATCH_JOB_ATTEMPT": "2", "FLOWC_PATHS": '["7", "0"]'}
    told = engine.start("odd", "", [*again, "--tell"], {**result, **listed})
    assert told.code == 0, told.stderr

    missing = engine.start("odd", "", [*again, "--tell"], {**result, **listed, "AWS_BATCH_JOB_ARRAY_INDEX": "0"})
    assert missing.code == 1
    assert "the task odd-7 of the run argo-simulated has not finished" in missing.stderr

    wide = engine.start("fan", "", ["fan", "--from=spin", "--loops=spin", "--tell"], result)
    assert wide.code == 0, wide.stderr
    body = client.get_object(Bucket="flows", Key=f"told/{engine.run_id}/fan.json")["Body"].read()
    assert json.loads(body) == {"splits": 2, "case": "descend", "indices": [0, 1]}


@pytest.mark.slow
def test_an_attempt_that_failed_is_no_task_that_ran(tmp_path: Path) -> None:
    """Where tasks run once, the next attempt of one that failed runs: its first attempt, which Metaflow keeps too, does not count."""
    engine = simulate.engine(simulate.FLOWS / "hardship.py", tmp_path, environment={"FLOWC_ONCE": "1"})
    attempts = [(task.step, task.code) for task in engine.run()]
    assert attempts == [("begin", 1), ("begin", 0), ("risky", 1), ("risky", 0), ("finish", 0)]
